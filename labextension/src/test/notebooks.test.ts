import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it } from 'vitest';

import { Notebooks } from '../notebooks';
import { replacement } from '../cellsync';

interface Plain {
  id: string;
  source: string;
}

class Cell {
  constructor(
    private readonly id: string,
    private text: string
  ) {}
  getId = () => this.id;
  getSource = () => this.text;
  updateSource(start: number, end: number, value: string): void {
    this.text = this.text.slice(0, start) + value + this.text.slice(end);
  }
}

/** A notebook that is open, and its file: as much of JupyterLab's context as there is to follow. */
class Open {
  constructor(public disk: Record<string, string>) {
    this.model.fromJSON(this.content());
  }

  readonly path = 'n.ipynb';
  readonly ready = Promise.resolve();
  readonly saveState = new Signal<this, string>(this);
  readonly fileChanged = new Signal<this, undefined>(this);
  cells: Cell[] = [];
  readonly model = new Model(this);

  get live(): Record<string, string> {
    return Object.fromEntries(
      this.cells.map(cell => [cell.getId(), cell.getSource()])
    );
  }

  type(id: string, text: string): void {
    const cell = this.cells.find(one => one.getId() === id);
    const put = replacement(cell?.getSource() ?? '', text);
    cell?.updateSource(put.start, put.end, put.text);
    this.model.dirty = true;
  }

  async save(meanwhile = () => {}): Promise<void> {
    this.saveState.emit('started');
    this.disk = this.live;
    await Promise.resolve();
    meanwhile();
    this.model.dirty = false; // as JupyterLab does, whatever was typed meanwhile
    this.fileChanged.emit(undefined);
    this.saveState.emit('completed');
  }

  async revert(): Promise<void> {
    await Promise.resolve();
    this.model.fromJSON(this.content());
    this.fileChanged.emit(undefined);
  }

  private content(): { cells: Plain[] } {
    return {
      cells: Object.entries(this.disk).map(([id, source]) => ({ id, source }))
    };
  }
}

class Model {
  constructor(private readonly open: Open) {}
  dirty = false;

  fromJSON({ cells }: { cells: Plain[] }): void {
    this.open.cells = cells.map(({ id, source }) => new Cell(id, source));
    this.dirty = false;
  }

  get sharedModel() {
    const { open } = this;
    return {
      cells: open.cells,
      transact: (act: () => void) => act(),
      insertCell: (at: number, { id, source }: Plain) =>
        open.cells.splice(at, 0, new Cell(id, source)),
      deleteCell: (at: number) => open.cells.splice(at, 1)
    };
  }
}

describe('an open notebook', () => {
  let open: Open;
  let notebooks: Notebooks;
  const follow = () =>
    notebooks.follow(open as unknown as DocumentRegistry.Context);

  beforeEach(async () => {
    open = new Open({ a: '1', b: '1' });
    const tracker = {
      forEach: (each: (panel: object) => void) => each({ context: open }),
      widgetAdded: new Signal({})
    };
    notebooks = new Notebooks(tracker as unknown as INotebookTracker);
    await open.ready;
  });

  it('takes over what was written, again and again, and never over unsaved edits', async () => {
    const [cell] = open.cells;
    open.type('b', 'mine');
    for (const written of ['2', '3']) {
      open.disk = { ...open.disk, a: written };
      expect(await follow()).toEqual([]);
      expect(open.live).toEqual({ a: written, b: 'mine' });
    }
    expect(open.cells[0]).toBe(cell);
    expect(open.model.dirty).toBe(true);
  });

  it('leaves a cell that both sides changed, and says so', async () => {
    open.type('a', 'mine');
    open.disk = { a: '2', b: '2' };
    expect(await follow()).toEqual(['a']);
    expect(open.live).toEqual({ a: 'mine', b: '2' });
    expect(open.model.dirty).toBe(true);
  });

  it('is as clean as it was', async () => {
    open.disk = { a: '2', n: '0', b: '1' };
    await follow();
    expect(open.live).toEqual(open.disk);
    expect(Object.keys(open.live)).toEqual(['a', 'n', 'b']);
    expect(open.model.dirty).toBe(false);
  });

  it('does not take for saved what was typed while it was being saved', async () => {
    await open.save(() => open.type('b', 'typed late'));
    open.disk = { ...open.disk, a: '2' };
    expect(await follow()).toEqual([]);
    expect(open.live).toEqual({ a: '2', b: 'typed late' });
    expect(open.model.dirty).toBe(true);
  });

  it('goes on from what was read again', async () => {
    open.disk = { a: 'newer', b: '1' };
    await open.revert();
    expect(open.live.a).toBe('newer');
    open.disk = { a: 'newer, and written', b: '1' };
    expect(await follow()).toEqual([]);
    expect(open.live.a).toBe('newer, and written');
  });

  it('is read again as ever afterwards', async () => {
    await follow();
    open.disk = { z: 'other' };
    await open.revert();
    expect(open.live).toEqual({ z: 'other' });
  });
});
