import type { JSX } from 'react';

import { key } from '../choice';
import type { Change } from '../document';
import { useHost } from '../host';
import { say } from '../messages';
import { Diff } from './Diff';

interface Props {
  change: Change;
  /** Hunks that are not to be accepted. */
  left: ReadonlySet<string>;
  /** Whether there is still something to choose. */
  choosing: boolean;
  /** Whether it is the proposal's only file. */
  alone: boolean;
}

/** One file of the proposal; where there are several hunks, each can be left out. */
export function ChangedFile({
  change,
  left,
  choosing,
  alone
}: Props): JSX.Element {
  const { trans, model, open, compare } = useHost();
  const { path, name } = change;
  const hunks = change.hunks.map((hunk, n) => ({ hunk, key: key(path, n) }));
  const all = hunks.map(hunk => hunk.key);
  return (
    <div className="jp-Loom-changed">
      <div className="jp-Loom-fileHead">
        {choosing && !alone && (
          <input
            type="checkbox"
            checked={all.some(hunk => !left.has(hunk))}
            aria-label={trans.__('Accept %1', name)}
            onChange={event => model.leave(all, !event.target.checked)}
          />
        )}
        <button
          type="button"
          className="jp-Loom-path"
          title={name}
          onClick={() => open(path, change.hunks[0]?.line)}
        >
          <bdi>{name}</bdi>
        </button>
        <span className="jp-Loom-plus">{`+${change.added}`}</span>
        <span className="jp-Loom-minus">{`−${change.removed}`}</span>
        <button
          type="button"
          className="jp-Loom-link"
          onClick={() => compare(change)}
        >
          {trans.__('Side by side')}
        </button>
      </div>
      {choosing && hunks.length > 1 && (
        <div
          className="jp-Loom-hunks"
          role="group"
          aria-label={trans.__('Hunks of %1', name)}
        >
          {hunks.map(({ hunk, key: known }) => (
            <label key={known} className="jp-Loom-chip">
              <input
                type="checkbox"
                checked={!left.has(known)}
                onChange={event => model.leave([known], !event.target.checked)}
              />
              {say(hunk.text, trans)}
            </label>
          ))}
        </div>
      )}
      <Diff change={change} split={false} />
    </div>
  );
}
