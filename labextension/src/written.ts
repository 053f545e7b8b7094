/** A cell that a run wrote (`--cell`), put into the open notebook that it belongs to. */
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

import { replacement } from './cellsync';
import { fits } from './diff';
import type { CellChange } from './document';

/** Where a cell goes: in place of one, or below one. */
interface Place {
  panel: NotebookPanel;
  index: number;
  replaces: boolean;
}

/** Find the cell that a proposal rewrites, or below which its new cell belongs; null if no open notebook has it. */
export function placeOf(
  notebooks: INotebookTracker | null,
  cell: CellChange,
  task: string
): Place | null {
  const id = cell.cell_id;
  const found = id && find(notebooks, (_, other) => other === id);
  if (found) {
    const same = fits(sourceAt(found), cell.expected);
    return same ? { ...found, replaces: true } : null;
  }
  const asked = (source: string) =>
    source.startsWith('%') && source.trimEnd().endsWith(task.trim());
  const below = cell.number === null && find(notebooks, asked);
  return below ? { ...below, replaces: false } : null;
}

/** Put a cell's source there, as an edit that the notebook's own undo takes back. */
export function put({ panel, index, replaces }: Place, source: string): void {
  const shared = panel.content.model?.sharedModel;
  if (!shared) {
    return;
  }
  if (replaces) {
    const cell = shared.getCell(index);
    const { start, end, text } = replacement(cell.getSource(), source);
    cell.updateSource(start, end, text);
  } else {
    shared.insertCell(index + 1, { cell_type: 'code', source, metadata: {} });
  }
  panel.content.activeCellIndex = replaces ? index : index + 1;
}

type Found = Omit<Place, 'replaces'>;

function find(
  notebooks: INotebookTracker | null,
  wanted: (source: string, id: string) => boolean
): Found | null {
  const all: Found[] = [];
  notebooks?.forEach(panel => {
    const cells = panel.content.model?.sharedModel.cells ?? [];
    const index = cells.findIndex(cell =>
      wanted(cell.getSource(), cell.getId())
    );
    if (index >= 0) {
      all.push({ panel, index });
    }
  });
  return (
    all.find(({ panel }) => panel === notebooks?.currentWidget) ??
    all[0] ??
    null
  );
}

function sourceAt({ panel, index }: Found): string {
  return panel.content.model?.sharedModel.getCell(index).getSource() ?? '';
}
