/** Why a file does not stand higher in the ledger: what the best one has and it has not. */
import type { RankedFile } from '../events';
import { points } from './figures';
import { line } from './plain';
import type { Words } from './words';

const MOST = 5;

/** Return sentences about the file whose path ends in `words`. */
export function whyNot(
  files: readonly RankedFile[],
  words: string,
  trans: Words
): string[] {
  const asked = words.trim().toLowerCase();
  const best = files[0];
  const file =
    files.find(({ path }) => path.toLowerCase() === asked) ??
    files.find(({ path }) => path.toLowerCase().endsWith(asked)) ??
    files.find(({ path }) => path.toLowerCase().includes(asked));
  if (!best || !asked) {
    return [];
  }
  if (!file) {
    const last = files.at(-1) ?? best;
    return [
      trans.__(
        'No file of this name is among the first %1; the last of them has %2 points.',
        files.length,
        last.score.toFixed(1)
      )
    ];
  }
  if (file === best) {
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
