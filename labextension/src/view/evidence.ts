/** Which files of a ledger are shown, and in what order; of the whole ledger the server says it alike. */
import type { RankedFile } from '../events';
import { FAMILIES, type Family, familyOf } from './families';

export type Order = 'score' | 'path' | 'evidence';

/** What of a ledger is wanted. */
export interface LedgerQuery {
  words: string;
  order: Order;
  hidden: ReadonlySet<Family>;
}

/** A file with its strongest rows; `more` counts those that are left out. */
export interface LedgerFile extends RankedFile {
  more?: number;
}

/** Some files of a ledger. */
export interface LedgerPage {
  /** Files with any evidence, and those of them that are as asked. */
  total: number;
  matching: number;
  families: readonly string[];
  files: readonly LedgerFile[];
}

/** Answer from the files that the run's event carried. */
export function firstPage(
  files: readonly RankedFile[],
  total: number,
  asked: LedgerQuery
): LedgerPage {
  const found = sorted(
    files.filter(file => wanted(file, asked)),
    asked.order
  );
  return {
    total: Math.max(total, files.length),
    matching: found.length,
    families: [...new Set(files.flatMap(file => file.rows.map(familyOf)))],
    files: found
  };
}

/** Return the families of rules that a query lets through, as the server reads them; empty if these are all. */
export function familiesOf({ hidden }: LedgerQuery): string {
  const left = FAMILIES.filter(family => !hidden.has(family));
  return hidden.size ? left.join(',') || 'none' : '';
}

function wanted(file: RankedFile, { words, hidden }: LedgerQuery): boolean {
  const shown = file.rows.filter(row => !hidden.has(familyOf(row)));
  const text = [file.path, ...shown.map(row => `${row.rule} ${row.detail}`)]
    .join('\n')
    .toLowerCase();
  const asked = words.toLowerCase().split(/\s+/).filter(Boolean);
  return shown.length > 0 && asked.every(word => text.includes(word));
}

function sorted(files: RankedFile[], order: Order): RankedFile[] {
  switch (order) {
    case 'path':
      return files.sort((a, b) => (a.path < b.path ? -1 : 1));
    case 'evidence':
      return files.sort(
        (a, b) => b.rows.length - a.rows.length || a.rank - b.rank
      );
    default:
      return files.sort((a, b) => a.rank - b.rank);
  }
}
