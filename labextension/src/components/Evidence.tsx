import { type JSX, useMemo, useState } from 'react';

import type { RankedFile } from '../events';
import { useHost } from '../host';
import { FAMILIES, type Family, familyOf } from '../view/families';
import type { RunView } from '../view/view';
import { EvidenceFile } from './EvidenceFile';
import { WhyNot } from './WhyNot';

/** Files that are shown before one asks for more. */
const FIRST = 6;

type Order = 'score' | 'path' | 'evidence';

interface Props {
  view: RunView;
}

/** The ledger's files: sorted, filtered, each with a stacked bar that opens to its rows. */
export function Evidence({ view }: Props): JSX.Element {
  const { trans } = useHost();
  const [order, setOrder] = useState<Order>('score');
  const [words, setWords] = useState('');
  const [hidden, setHidden] = useState<ReadonlySet<Family>>(new Set());
  const [whole, setWhole] = useState(false);
  const longest = Math.max(0, ...view.files.map(file => file.score));
  const used = useMemo(() => families(view.files), [view.files]);
  const files = useMemo(
    () =>
      sorted(
        view.files.filter(file => wanted(file, words, hidden)),
        order
      ),
    [view.files, words, hidden, order]
  );
  const toggle = (family: Family) => {
    const next = new Set(hidden);
    if (!next.delete(family)) {
      next.add(family);
    }
    setHidden(next);
  };
  const more = view.total - view.files.length;
  return (
    <div className="jp-Loom-evidence">
      <div className="jp-Loom-tools">
        <input
          type="search"
          className="jp-mod-styled"
          placeholder={trans.__('Filter')}
          aria-label={trans.__('Filter the evidence by path or rule')}
          value={words}
          onChange={event => setWords(event.target.value)}
        />
        <select
          className="jp-mod-styled"
          aria-label={trans.__('Sort by')}
          value={order}
          onChange={event => setOrder(event.target.value as Order)}
        >
          <option value="score">{trans.__('by points')}</option>
          <option value="path">{trans.__('by path')}</option>
          <option value="evidence">{trans.__('by rows')}</option>
        </select>
      </div>
      <ol className="jp-Loom-files" aria-label={trans.__('Files')}>
        {files.slice(0, whole ? files.length : FIRST).map(file => (
          <EvidenceFile
            key={file.path}
            file={file}
            longest={longest}
            hidden={hidden}
          />
        ))}
      </ol>
      {!whole && files.length > FIRST && (
        <button
          type="button"
          className="jp-Loom-link"
          onClick={() => setWhole(true)}
        >
          {trans.__('Show %1 more', files.length - FIRST)}
        </button>
      )}
      {files.length === 0 && (
        <p className="jp-Loom-empty">{trans.__('No file fits the filter.')}</p>
      )}
      {more > 0 && (whole || files.length <= FIRST) && (
        <p className="jp-Loom-dim">
          {trans._n(
            '%1 more file: %loom ledger',
            '%1 more files: %loom ledger',
            more
          )}
        </p>
      )}
      <WhyNot files={view.files} />
      <div
        className="jp-Loom-legend"
        role="group"
        aria-label={trans.__('Rules')}
      >
        {used.map(family => (
          <button
            key={family}
            type="button"
            aria-pressed={!hidden.has(family)}
            onClick={() => toggle(family)}
          >
            <i className={`jp-Loom-swatch jp-Loom-f-${family}`} />
            {family}
          </button>
        ))}
      </div>
    </div>
  );
}

function families(files: readonly RankedFile[]): Family[] {
  const used = new Set(files.flatMap(file => file.rows.map(familyOf)));
  return FAMILIES.filter(family => used.has(family));
}

function wanted(
  file: RankedFile,
  words: string,
  hidden: ReadonlySet<Family>
): boolean {
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
      return files.sort((a, b) => a.path.localeCompare(b.path));
    case 'evidence':
      return files.sort((a, b) => b.rows.length - a.rows.length);
    default:
      return files.sort((a, b) => a.rank - b.rank);
  }
}
