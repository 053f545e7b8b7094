/** Open notebooks follow the disk cell by cell: outputs, cursors and unsaved edits stay. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel, INotebookTracker } from '@jupyterlab/notebook';

import {
  type DiskCell,
  type Sources,
  type Steps,
  replacement,
  sourceOf,
  steps
} from './cellsync';

type Context = DocumentRegistry.IContext<INotebookModel>;
type Shared = INotebookModel['sharedModel'];
type Cell = Parameters<Shared['insertCell']>[1] & DiskCell;
/** A notebook as the Contents API gives it, as far as it matters here. */
interface Content {
  cells: Cell[];
}

/** Knows what each open notebook last had in common with its file. */
export class Notebooks {
  constructor(tracker: INotebookTracker | null) {
    tracker?.forEach(({ context }) => this.watch(context));
    tracker?.widgetAdded.connect((_, { context }) => this.watch(context));
  }

  /** Whether a document is an open notebook. */
  has(context: DocumentRegistry.Context): boolean {
    return this.common.has(context);
  }

  /**
   * Take over what was written to a notebook's file, and nothing else.
   *
   * Returns the ids of cells that changed in both places: they stay as they are in the open notebook.
   */
  follow(context: DocumentRegistry.Context): Promise<string[]> {
    const done = this.turn.then(() => this.take(context as Context));
    this.turn = done.catch(() => undefined);
    return done;
  }

  private watch(context: Context): void {
    let saved: Sources = new Map();
    this.common.set(context, saved);
    void context.ready.then(() => {
      this.common.set(context, sources(context.model.sharedModel));
    });
    context.fileChanged.connect(() => {
      // Read again from disk. What is saved is told below: it may be typed on while that is under way.
      if (!this.taking && !context.model.dirty) {
        this.common.set(context, sources(context.model.sharedModel));
      }
    });
    context.saveState.connect((_, state) => {
      if (state === 'started') {
        saved = sources(context.model.sharedModel);
      } else if (state === 'completed') {
        this.common.set(context, saved);
      }
    });
  }

  private async take(context: Context): Promise<string[]> {
    await context.ready;
    const { model } = context;
    const found = { conflicts: [] as string[], dirty: false };
    const join = (content: Content) => {
      const shared = model.sharedModel;
      const disk = content.cells;
      const base = this.common.get(context) ?? sources(shared);
      const todo = steps(base, disk, sources(shared));
      if (!todo) {
        throw new Error(
          `${context.path} has cells without ids; save it first.`
        );
      }
      const common = new Map(disk.map(cell => [cell.id ?? '', sourceOf(cell)]));
      const dirty = model.dirty;
      shared.transact(() => carryOut(shared, todo));
      found.dirty = dirty || !same(common, sources(shared));
      found.conflicts = todo.conflicts;
      this.common.set(context, common);
    };
    // A revert tells the context which version is on disk now; what it would put in place of all cells,
    // with their outputs and the edits of this moment, is joined with them instead.
    Object.defineProperty(model, 'fromJSON', {
      configurable: true,
      value: join
    });
    this.taking = true;
    try {
      await context.revert();
    } finally {
      this.taking = false;
      Reflect.deleteProperty(model, 'fromJSON');
    }
    model.dirty = found.dirty;
    return found.conflicts;
  }

  private readonly common = new WeakMap<object, Sources>();
  private turn: Promise<unknown> = Promise.resolve();
  private taking = false;
}

function sources(notebook: Shared): Sources {
  return new Map(notebook.cells.map(cell => [cell.getId(), cell.getSource()]));
}

function same(one: Sources, other: Sources): boolean {
  return (
    one.size === other.size &&
    [...one].every(([id, source]) => other.get(id) === source)
  );
}

function carryOut(notebook: Shared, todo: Steps<Cell>): void {
  const at = (id: string | null) =>
    notebook.cells.findIndex(cell => cell.getId() === id);
  for (const { id, source } of todo.rewritten) {
    const cell = notebook.cells[at(id)];
    if (cell) {
      const { start, end, text } = replacement(cell.getSource(), source);
      cell.updateSource(start, end, text);
    }
  }
  for (const { after, cell } of todo.added) {
    notebook.insertCell(at(after) + 1, cell);
  }
  for (const id of todo.removed) {
    notebook.deleteCell(at(id));
  }
}
