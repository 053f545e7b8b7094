/** Why a file does not stand higher in the ledger: what the best one has and it has not. */
import type { RankedFile } from '../events';
import { points } from './figures';
import { line } from './plain';
import type { Words } from './words';

const MOST = 5;

/** Return the file that is called so, or the best whose path ends in it, or holds it. */
export function named<F extends RankedFile>(
  files: readonly F[],
  words: string
): F | null {
  const asked = words.trim().toLowerCase();
  const paths = (fits: (path: string) => boolean) =>
    files.find(({ path }) => fits(path.toLowerCase()));
  return (
    (asked &&
      (paths(path => path === asked) ??
        paths(path => path.endsWith(asked)) ??
        paths(path => path.includes(asked)))) ||
    null
  );
}

/** Return sentences about a file beside the best one. */
export function whyNot(
  best: RankedFile | null,
  file: RankedFile | null,
  trans: Words
): string[] {
  if (!best) {
    return [];
  }
  if (!file) {
    return [
      trans.__(
        'No file of this name has any evidence: no rule speaks for it, or it is not read.'
      )
    ];
  }
  if (file.path === best.path) {
    return [trans.__('%1 is the first already.', line(file.path, 200))];
  }
  const behind = (best.score - file.score).toFixed(1);
  const said = trans.__(
    '%1 is number %2, %3 points behind %4:',
    line(file.path, 200),
    file.rank,
    behind,
    line(best.path, 200)
  );
  const [own, others] = [byRule(file), byRule(best)];
  const gaps = [...new Set([...own.keys(), ...others.keys()])]
    .map(rule => ({
      rule,
      gap: (others.get(rule) ?? 0) - (own.get(rule) ?? 0)
    }))
    .filter(({ gap }) => gap > 0.05)
    .sort((a, b) => b.gap - a.gap)
    .slice(0, MOST);
  return [
    said,
    ...gaps.map(({ rule, gap }) => `${points(-gap)} ${line(rule, 60)}`)
  ];
}

function byRule(file: RankedFile): Map<string, number> {
  const sums = new Map<string, number>();
  for (const row of file.rows) {
    sums.set(row.rule, (sums.get(row.rule) ?? 0) + row.points);
  }
  return sums;
}
