import { type JSX, useMemo } from 'react';

import type { ProposedFile } from '../events';
import { useHost } from '../host';
import { hunks, key } from '../view/choice';
import { parts } from '../view/diff';
import { path as shownPath } from '../view/plain';
import { Diff } from './Diff';

interface Props {
  file: ProposedFile;
  /** Hunks that are not to be accepted. */
  left: ReadonlySet<string>;
  /** Whether there is still something to choose. */
  choosing: boolean;
  /** Whether it is the proposal's only file. */
  alone: boolean;
}

/** One file of the proposal; where there are several hunks, each can be left out. */
export function ChangedFile({
  file,
  left,
  choosing,
  alone
}: Props): JSX.Element {
  const { trans, model, open, compare } = useHost();
  const found = useMemo(() => parts(file.diff), [file.diff]);
  const keys = useMemo(
    () => hunks(file.diff).map((hunk, n) => ({ hunk, key: key(file.path, n) })),
    [file]
  );
  const all = keys.map(hunk => hunk.key);
  const path = shownPath(file.path);
  return (
    <div className="jp-Loom-changed">
      <div className="jp-Loom-fileHead">
        {choosing && !alone && (
          <input
            type="checkbox"
            checked={all.some(name => !left.has(name))}
            aria-label={trans.__('Accept %1', path)}
            onChange={event => model.leave(all, !event.target.checked)}
          />
        )}
        <button
          type="button"
          className="jp-Loom-path"
          title={path}
          onClick={() => open(file.path, keys[0]?.hunk.line)}
        >
          <bdi>{path}</bdi>
        </button>
        <span className="jp-Loom-plus">{`+${file.added}`}</span>
        <span className="jp-Loom-minus">{`−${file.removed}`}</span>
        <button
          type="button"
          className="jp-Loom-link"
          onClick={() => compare(file)}
        >
          {trans.__('Side by side')}
        </button>
      </div>
      {choosing && keys.length > 1 && (
        <div
          className="jp-Loom-hunks"
          role="group"
          aria-label={trans.__('Hunks of %1', path)}
        >
          {keys.map(({ hunk, key: name }) => (
            <label key={name} className="jp-Loom-chip">
              <input
                type="checkbox"
                checked={!left.has(name)}
                onChange={event => model.leave([name], !event.target.checked)}
              />
              {hunk.cell
                ? trans.__('cell %1, line %2', hunk.cell.slice(0, 8), hunk.line)
                : trans.__('line %1', hunk.line)}
            </label>
          ))}
        </div>
      )}
      <Diff path={file.path} parts={found} split={false} />
    </div>
  );
}
