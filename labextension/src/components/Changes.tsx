import {
  Button,
  checkIcon,
  closeIcon,
  undoIcon
} from '@jupyterlab/ui-components';
import { type JSX, useState } from 'react';

import { useHost } from '../host';
import { block } from '../view/plain';
import type { RunView } from '../view/view';
import { ChangedFile } from './ChangedFile';

interface Props {
  view: RunView;
}

/** The proposal: each file's diff, and what can be done with them. */
export function Changes({ view }: Props): JSX.Element {
  const { trans, model, accept, undo } = useHost();
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const files = view.proposal?.files ?? [];
  const chosen = files.filter(file => !left.has(file.path));
  const review = view.state === 'review';
  const pick = review && files.length > 1;
  const busy = model.asking !== null;
  const toggle = (path: string) => {
    const next = new Set(left);
    if (!next.delete(path)) {
      next.add(path);
    }
    setLeft(next);
  };
  const paths =
    chosen.length === files.length ? null : chosen.map(file => file.path);
  return (
    <div className="jp-Loom-changes">
      {view.proposal?.answer && (
        <p className="jp-Loom-answer">{block(view.proposal.answer)}</p>
      )}
      {review && (
        <div className="jp-Loom-actions">
          <Button
            className="jp-mod-styled jp-mod-accept"
            disabled={busy || chosen.length === 0}
            onClick={() => void accept(paths)}
          >
            <checkIcon.react tag="span" className="jp-Loom-icon" />
            {paths === null
              ? trans.__('Accept')
              : trans.__('Accept %1 of %2', chosen.length, files.length)}
          </Button>
          <Button
            className="jp-mod-styled jp-mod-reject"
            disabled={busy}
            onClick={() => void model.ask('reject')}
          >
            <closeIcon.react tag="span" className="jp-Loom-icon" />
            {trans.__('Reject')}
          </Button>
        </div>
      )}
      {view.state === 'accepted' && files.length > 0 && (
        <div className="jp-Loom-actions">
          <span className="jp-Loom-done">{trans.__('Accepted')}</span>
          <Button
            className="jp-mod-styled"
            disabled={busy}
            onClick={() => void undo()}
          >
            <undoIcon.react tag="span" className="jp-Loom-icon" />
            {trans.__('Undo')}
          </Button>
        </div>
      )}
      {files.map(file => (
        <ChangedFile
          key={file.path}
          file={file}
          picked={!left.has(file.path)}
          onPick={pick ? () => toggle(file.path) : null}
        />
      ))}
    </div>
  );
}
