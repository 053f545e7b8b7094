/** What of a proposal is to be accepted. */
import type { Change } from './document';

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
  changes: readonly Change[],
  left: ReadonlySet<string>
): Choice {
  const chosen: Choice = { paths: [], hunks: {}, whole: true };
  for (const { path, hunks } of changes) {
    const all = hunks.map((_, number) => number);
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
