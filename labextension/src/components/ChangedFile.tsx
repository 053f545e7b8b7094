import { type JSX, useMemo } from 'react';

import type { ProposedFile } from '../events';
import { useHost } from '../host';
import { parts } from '../view/diff';
import { line } from '../view/plain';
import { Diff } from './Diff';

interface Props {
  file: ProposedFile;
  picked: boolean;
  /** Null where there is nothing to choose. */
  onPick: (() => void) | null;
}

/** One file of the proposal. */
export function ChangedFile({ file, picked, onPick }: Props): JSX.Element {
  const { trans, open, compare } = useHost();
  const found = useMemo(() => parts(file.diff), [file.diff]);
  const path = line(file.path, 300);
  return (
    <div className="jp-Loom-changed">
      <div className="jp-Loom-fileHead">
        {onPick && (
          <input
            type="checkbox"
            checked={picked}
            aria-label={trans.__('Accept %1', path)}
            onChange={onPick}
          />
        )}
        <button
          type="button"
          className="jp-Loom-path"
          title={path}
          onClick={() => open(file.path, found[0]?.newStart)}
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
      <Diff path={file.path} parts={found} split={false} />
    </div>
  );
}
