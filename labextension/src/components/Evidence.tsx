import { type JSX, useMemo, useState } from 'react';

import type { Evidence as Ledger } from '../document';
import { useHost } from '../host';
import type { LedgerQuery, Order } from '../ledger';
import { EvidenceFile } from './EvidenceFile';
import { WhyNot } from './WhyNot';
import { useLedger } from './useLedger';

/** Files that are shown before one asks for more. */
const FIRST = 6;

interface Props {
  run: string;
  evidence: Ledger;
}

/** The whole ledger: sorted, filtered, each file with a stacked bar that opens to its rows. */
export function Evidence({ run, evidence }: Props): JSX.Element {
  const { trans } = useHost();
  const [order, setOrder] = useState<Order>('score');
  const [words, setWords] = useState('');
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [whole, setWhole] = useState(false);
  const asked: LedgerQuery = useMemo(
    () => ({ words, order, hidden }),
    [words, order, hidden]
  );
  const { files, matching, families, more } = useLedger(run, evidence, asked);
  const toggle = (family: string) => {
    const next = new Set(hidden);
    if (!next.delete(family)) {
      next.add(family);
    }
    setHidden(next);
  };
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
          <option value="evidence">{trans.__('by number of rows')}</option>
        </select>
      </div>
      <ol className="jp-Loom-files" aria-label={trans.__('Files')}>
        {files.slice(0, whole ? files.length : FIRST).map(file => (
          <EvidenceFile
            key={file.path}
            file={file}
            longest={evidence.longest}
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
          {trans.__('Show %1 more', matching - FIRST)}
        </button>
      )}
      {whole && more && (
        <button
          type="button"
          className="jp-Loom-link"
          onClick={() => void more()}
        >
          {trans.__('Show more (%1 left)', matching - files.length)}
        </button>
      )}
      {files.length === 0 && (
        <p className="jp-Loom-empty">
          {trans.__('No file matches the filter.')}
        </p>
      )}
      <WhyNot run={run} files={evidence.files} />
      <div
        className="jp-Loom-legend"
        role="group"
        aria-label={trans.__('Rules')}
      >
        {families.map(family => (
          <button
            key={family}
            type="button"
            aria-pressed={!hidden.has(family)}
            onClick={() => toggle(family)}
          >
            <i className={`jp-Loom-swatch loom-f-${family}`} />
            {family}
          </button>
        ))}
      </div>
    </div>
  );
}
