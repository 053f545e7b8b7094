/** What an open notebook takes over from the disk: cell by cell, and never over an edit that is not saved. */

/** A cell as the Contents API gives it. */
export interface DiskCell {
  id?: string;
  source: string | string[];
}

export type Sources = ReadonlyMap<string, string>;

/** What is to be done to the open notebook. */
export interface Steps<C> {
  rewritten: { id: string; source: string }[];
  /** Cells to add, each after the cell of that id (null: as the first). */
  added: { after: string | null; cell: C }[];
  removed: string[];
  /** Cells that changed on disk and in the open notebook: these stay as they are there. */
  conflicts: string[];
}

/**
 * Compare three states of a notebook: `base`, when document and disk last agreed, `disk` and `live`.
 * Only what changed on disk since then is taken over; null where cells cannot be told apart.
 */
export function steps<C extends DiskCell>(
  base: Sources,
  disk: readonly C[],
  live: Sources
): Steps<C> | null {
  const found: Steps<C> = {
    rewritten: [],
    added: [],
    removed: [],
    conflicts: []
  };
  let after: string | null = null;
  for (const cell of disk) {
    const { id } = cell;
    if (id === undefined) {
      return null;
    }
    const [was, is, now] = [base.get(id), sourceOf(cell), live.get(id)];
    if (is !== was && is !== now) {
      if (now !== was) {
        found.conflicts.push(id);
      } else if (was === undefined) {
        found.added.push({ after, cell });
      } else {
        found.rewritten.push({ id, source: is });
      }
    }
    after = id;
  }
  const kept = new Set(disk.map(({ id }) => id));
  for (const [id, was] of base) {
    const now = live.get(id);
    if (!kept.has(id) && now !== undefined) {
      (now === was ? found.removed : found.conflicts).push(id);
    }
  }
  return found;
}

/** Return a cell's source as one text. */
export function sourceOf({ source }: DiskCell): string {
  return typeof source === 'string' ? source : source.join('');
}

/** The part of a text that is replaced: from `start` to `end`, so that a cursor elsewhere stays. */
export interface Replacement {
  start: number;
  end: number;
  text: string;
}

/** Return the smallest replacement that makes `next` of `text`. */
export function replacement(text: string, next: string): Replacement {
  const most = Math.min(text.length, next.length);
  let start = 0;
  while (start < most && text[start] === next[start]) {
    start += 1;
  }
  let tail = 0;
  while (
    tail < most - start &&
    text[text.length - 1 - tail] === next[next.length - 1 - tail]
  ) {
    tail += 1;
  }
  const end = text.length - tail;
  return { start, end, text: next.slice(start, next.length - tail) };
}
