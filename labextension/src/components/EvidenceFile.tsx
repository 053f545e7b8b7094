import { type JSX, useState } from 'react';

import type { EvidenceFile as File, Row as Seen } from '../document';
import { useHost } from '../host';
import { shownRows } from '../ledger';

const ROWS_SHOWN = 12;

interface Props {
  file: File;
  longest: number;
  hidden: ReadonlySet<string>;
}

/** One file of the ledger: its bar, which opens to its rows. */
export function EvidenceFile({ file, longest, hidden }: Props): JSX.Element {
  const { trans, open } = useHost();
  const [shown, setShown] = useState(false);
  const rows = shownRows(file, hidden);
  const weaker = Math.max(0, rows.length - ROWS_SHOWN) + file.more;
  const { name } = file;
  const scale = longest > 0 ? (100 * file.score) / longest : 0;
  return (
    <li className="jp-Loom-file">
      <div className="jp-Loom-fileHead">
        <button
          type="button"
          className="jp-Loom-unfold"
          aria-expanded={shown}
          aria-label={trans.__('Evidence of %1', name)}
          onClick={() => setShown(!shown)}
        >
          {file.rank}
        </button>
        {file.path.startsWith('<') ? (
          <span className="jp-Loom-path">{name}</span>
        ) : (
          <button
            type="button"
            className="jp-Loom-path"
            title={name}
            onClick={() => open(file.path, file.line)}
          >
            <bdi>{name}</bdi>
          </button>
        )}
        <span className="jp-Loom-score">{file.points}</span>
      </div>
      <div className="jp-Loom-bar" aria-hidden="true">
        {file.bar
          .filter(share => !hidden.has(share.family))
          .map(share => (
            <span
              key={share.family}
              className={`loom-f-${share.family}`}
              style={{ width: `${share.part * scale}%` }}
              title={`${share.family} ${share.points}`}
            />
          ))}
      </div>
      {!shown && <div className="jp-Loom-why">{file.why}</div>}
      {shown && (
        <ul className="jp-Loom-rows">
          {rows.slice(0, ROWS_SHOWN).map((row, number) => (
            <Row key={number} row={row} />
          ))}
        </ul>
      )}
      {shown && weaker > 0 && (
        <div className="jp-Loom-why">
          {trans._n('%1 weaker row', '%1 weaker rows', weaker)}
        </div>
      )}
    </li>
  );
}

function Row({ row }: { row: Seen }): JSX.Element {
  const { open } = useHost();
  return (
    <li>
      <i className={`jp-Loom-swatch loom-f-${row.family}`} aria-hidden="true" />
      <span className="jp-Loom-rule">{row.rule}</span>
      <span className="jp-Loom-points">{row.points}</span>
      {row.line ? (
        <button
          type="button"
          className="jp-Loom-path"
          onClick={() => open(row.path, row.line)}
        >
          {row.text}
        </button>
      ) : (
        <span className="jp-Loom-dim">{row.text}</span>
      )}
    </li>
  );
}
