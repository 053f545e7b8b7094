/** Tasks made of a notebook's cells and their errors. */
import { type Cell, CodeCell } from '@jupyterlab/cells';
import type { TranslationBundle } from '@jupyterlab/translation';

import { visible } from './view/plain';

const MOST = 4_000;

/** Return a task that asks about a cell. */
export function aboutCell(cell: Cell, trans: TranslationBundle): string {
  const source = cell.model.sharedModel.source.slice(0, MOST);
  return `${trans.__('Explain what this cell does:')}\n\n${source}`;
}

/** Return a task to repair a cell's error, or null if it has none. */
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
  const text = visible(traceback.join('\n')).slice(-MOST);
  const said = `${error.ename as string}: ${error.evalue as string}`;
  return `${trans.__('Repair the cause of %1', said)}\n\n${text}`;
}
