/** Which files of a ledger are shown, and in what order. */
import type { Evidence, EvidenceFile, Row } from './document';

export type Order = 'score' | 'path' | 'evidence';

/** What of a ledger is wanted. */
export interface LedgerQuery {
  words: string;
  order: Order;
  /** Families of rules that do not count. */
  hidden: ReadonlySet<string>;
}

/** Some files of a ledger. */
export interface LedgerPage {
  /** Files with any evidence, and those of them that are as asked. */
  total: number;
  matching: number;
  families: readonly string[];
  files: readonly EvidenceFile[];
}

/** Answer from the files that the document has. */
export function firstPage(evidence: Evidence, asked: LedgerQuery): LedgerPage {
  const files = evidence.files
    .filter(file => wanted(file, asked))
    .sort(ORDERS[asked.order]);
  const { total, families } = evidence;
  return { total, matching: files.length, families, files };
}

/** Return the families that a query lets through, as the server reads them; empty if these are all. */
export function shownFamilies(
  { hidden }: LedgerQuery,
  families: readonly string[]
): string {
  const left = families.filter(family => !hidden.has(family));
  return hidden.size ? left.join(',') || 'none' : '';
}

/** Return the rows that a query lets through. */
export function shownRows(
  { rows }: EvidenceFile,
  hidden: ReadonlySet<string>
): Row[] {
  return rows.filter(row => !hidden.has(row.family));
}

const ORDERS: Record<Order, (a: EvidenceFile, b: EvidenceFile) => number> = {
  score: (a, b) => a.rank - b.rank,
  path: (a, b) => (a.path < b.path ? -1 : 1),
  evidence: (a, b) => b.rows.length - a.rows.length || a.rank - b.rank
};

function wanted(file: EvidenceFile, { words, hidden }: LedgerQuery): boolean {
  const shown = shownRows(file, hidden);
  const text = [file.path, ...shown.map(row => `${row.rule} ${row.text}`)]
    .join('\n')
    .toLowerCase();
  const asked = words.toLowerCase().split(/\s+/).filter(Boolean);
  return shown.length > 0 && asked.every(word => text.includes(word));
}
