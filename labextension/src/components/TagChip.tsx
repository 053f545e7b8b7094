import type { JSX } from 'react';
import { closeIcon } from '@jupyterlab/ui-components';

import { useHost } from '../host';
import { readable } from '../messages';

interface Props {
  path: string;
  onRemove: () => void;
}

/** A tagged file. */
export function TagChip({ path, onRemove }: Props): JSX.Element {
  const { trans } = useHost();
  const said = readable(path);
  return (
    <span className="jp-Loom-chip" title={said}>
      <bdi className="jp-Loom-chipName">{said.split('/').at(-1)}</bdi>
      <button
        type="button"
        aria-label={trans.__('Remove the tag %1', said)}
        onClick={onRemove}
      >
        <closeIcon.react tag="span" className="jp-Loom-icon" />
      </button>
    </span>
  );
}
