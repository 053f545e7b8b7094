import { type JSX, useState } from 'react';

import type { EvidenceRow } from '../events';
import { useHost } from '../host';
import type { LedgerFile } from '../view/evidence';
import {
  type Family,
  familyOf,
  firstLine,
  place,
  shares,
  why
} from '../view/families';
import { points } from '../view/figures';
import { line, path as shownPath } from '../view/plain';

const ROWS_SHOWN = 12;

interface Props {
  file: LedgerFile;
  longest: number;
  hidden: ReadonlySet<Family>;
}

/** One file of the ledger: its bar, which opens to its rows. */
export function EvidenceFile({ file, longest, hidden }: Props): JSX.Element {
  const { trans, open } = useHost();
  const [shown, setShown] = useState(false);
  const rows = file.rows.filter(row => !hidden.has(familyOf(row)));
  const weaker = Math.max(0, rows.length - ROWS_SHOWN) + (file.more ?? 0);
  const path = shownPath(file.path);
  return (
    <li className="jp-Loom-file">
      <div className="jp-Loom-fileHead">
        <button
          type="button"
          className="jp-Loom-unfold"
          aria-expanded={shown}
          aria-label={trans.__('Evidence of %1', path)}
          onClick={() => setShown(!shown)}
        >
          {file.rank}
        </button>
        {file.path.startsWith('<') ? (
          <span className="jp-Loom-path">{path}</span>
        ) : (
          <button
            type="button"
            className="jp-Loom-path"
            title={path}
            onClick={() => open(file.path, firstLine(file))}
          >
            <bdi>{path}</bdi>
          </button>
        )}
        <span className="jp-Loom-score">{file.score.toFixed(1)}</span>
      </div>
      <div className="jp-Loom-bar" aria-hidden="true">
        {shares(file, longest)
          .filter(share => !hidden.has(share.family))
          .map(share => (
            <span
              key={share.family}
              className={`jp-Loom-f-${share.family}`}
              style={{ width: `${share.width * 100}%` }}
              title={`${share.family} ${points(share.points)}`}
            />
          ))}
      </div>
      {!shown && <div className="jp-Loom-why">{line(why(file), 200)}</div>}
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

function Row({ row }: { row: EvidenceRow }): JSX.Element {
  const { open } = useHost();
  const said = line(place(row), 200);
  return (
    <li>
      <i
        className={`jp-Loom-swatch jp-Loom-f-${familyOf(row)}`}
        aria-hidden="true"
      />
      <span className="jp-Loom-rule">{line(row.rule, 60)}</span>
      <span className="jp-Loom-points">{points(row.points)}</span>
      {row.line ? (
        <button
          type="button"
          className="jp-Loom-path"
          onClick={() => open(row.path, row.line)}
        >
          {said}
        </button>
      ) : (
        <span className="jp-Loom-dim">{said}</span>
      )}
    </li>
  );
}
