/** Families of ledger rules: one colour and one pattern each, everywhere. */
import type { EvidenceRow, RankedFile } from '../events';

export const FAMILIES = [
  'mention',
  'term',
  'symbol',
  'git',
  'history',
  'check',
  'notebook'
] as const;
export type Family = (typeof FAMILIES)[number];

/** What one family adds to a file's score; `width` is its part of the longest bar, 0 to 1. */
export interface Share {
  family: Family;
  points: number;
  width: number;
}

/** Return the family of a row's rule; `term` for one of another version. */
export function familyOf(row: EvidenceRow): Family {
  return FAMILIES.find(family => family === row.family) ?? 'term';
}

/** Split a file's bar by family. Rows that take points away shorten all its parts alike. */
export function shares(file: RankedFile, longest: number): Share[] {
  const gains = new Map<Family, number>();
  for (const row of file.rows) {
    if (row.points > 0) {
      const family = familyOf(row);
      gains.set(family, (gains.get(family) ?? 0) + row.points);
    }
  }
  const total = [...gains.values()].reduce((sum, gain) => sum + gain, 0);
  if (total <= 0 || longest <= 0 || file.score <= 0) {
    return [];
  }
  const scale = file.score / total / longest;
  return FAMILIES.filter(family => gains.has(family)).map(family => {
    const points = gains.get(family) ?? 0;
    return { family, points, width: points * scale };
  });
}

/** Return what a row saw and where: `tariff() l.12`. */
export function place(row: EvidenceRow): string {
  const said = row.detail || row.symbol || row.rule;
  return row.line ? `${said} l.${row.line}` : said;
}

/** Return the strongest evidence of a file in a few words. */
export function why(file: RankedFile, most = 3): string {
  return [...file.rows]
    .sort((a, b) => Math.abs(b.points) - Math.abs(a.points))
    .slice(0, most)
    .map(place)
    .join(' · ');
}

/** Return the line of the strongest evidence that has one. */
export function firstLine(file: RankedFile): number | null {
  const placed = file.rows.filter(row => row.line);
  const best = [...placed].sort((a, b) => b.points - a.points)[0];
  return best?.line ?? null;
}
