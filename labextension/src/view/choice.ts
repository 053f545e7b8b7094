/** What of a proposal is to be accepted. */
import type { ProposedFile } from '../events';
import { parts } from './diff';

/** A hunk: its first line after the change, and the cell it is in. */
export interface Hunk {
  line: number;
  cell: string | null;
}

/** Return a file's hunks: lines that change together. Their positions are the server's. */
export function hunks(diff: string): Hunk[] {
  const found: Hunk[] = [];
  for (const part of parts(diff)) {
    let line = part.newStart;
    let inside = false;
    for (const { sign } of part.lines) {
      if (sign !== ' ' && !inside) {
        found.push({ line, cell: part.cell });
      }
      inside = sign !== ' ';
      line += Number(sign !== '-');
    }
  }
  return found;
}

/** The name of a hunk among those that are left out. */
export function key(path: string, number: number): string {
  return `${number}:${path}`;
}

/** What is accepted: files, and of some of them only some hunks. */
export interface Choice {
  paths: string[];
  hunks: Record<string, number[]>;
  /** Whether that is all there is. */
  whole: boolean;
}

/** Return what is to be accepted when the hunks `left` are not. */
export function choice(
  files: readonly ProposedFile[],
  left: ReadonlySet<string>
): Choice {
  const chosen: Choice = { paths: [], hunks: {}, whole: true };
  for (const { path, diff } of files) {
    const all = hunks(diff).map((_, number) => number);
    const some = all.filter(number => !left.has(key(path, number)));
    if (some.length === all.length) {
      chosen.paths.push(path);
      continue;
    }
    chosen.whole = false;
    if (some.length) {
      chosen.paths.push(path);
      chosen.hunks[path] = some;
    }
  }
  return chosen;
}
