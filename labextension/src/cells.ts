/** Tasks made of a notebook's cells and their errors. */
import { type Cell, CodeCell } from '@jupyterlab/cells';
import type { TranslationBundle } from '@jupyterlab/translation';

import { readable } from './messages';

const MOST = 4_000;

/** Return a task that asks about a cell. */
export function aboutCell(cell: Cell, trans: TranslationBundle): string {
  const source = cell.model.sharedModel.source.slice(0, MOST);
  return `${trans.__('Explain what this cell does:')}\n\n${source}`;
}

/** Whether a cell's error is the last one that was raised, as far as the notebook shows. */
export function isLastError(cell: Cell, cells: Iterable<Cell>): boolean {
  const raised = [...cells].filter(hasError).map(executed);
  return hasError(cell) && executed(cell) === Math.max(...raised);
}

function hasError(cell: Cell): boolean {
  return (
    cell instanceof CodeCell &&
    cell.model.outputs
      .toJSON()
      .some(({ output_type }) => output_type === 'error')
  );
}

function executed(cell: Cell): number {
  return (cell instanceof CodeCell && cell.model.executionCount) || 0;
}

/** Return a task to fix a cell's error, or null if it has none. */
export function aboutError(
  cell: Cell,
  trans: TranslationBundle
): string | null {
  if (!(cell instanceof CodeCell)) {
    return null;
  }
  const outputs = cell.model.outputs.toJSON();
  const error = outputs.find(output => output.output_type === 'error');
  if (!error) {
    return null;
  }
  const traceback = Array.isArray(error.traceback) ? error.traceback : [];
  const text = readable(traceback.join('\n')).slice(-MOST);
  const said = `${error.ename as string}: ${error.evalue as string}`;
  return `${trans.__('Fix the cause of %1', said)}\n\n${text}`;
}
