import type { JSX } from 'react';

import { useHost } from '../host';
import { block } from '../view/plain';
import type { RunView } from '../view/view';
import { ChangedFile } from './ChangedFile';

interface Props {
  view: RunView;
}

/** The proposal: an answer, or each file's diff. */
export function Changes({ view }: Props): JSX.Element {
  const { model } = useHost();
  const files = view.proposal?.files ?? [];
  return (
    <div className="jp-Loom-changes">
      {view.proposal?.answer && (
        <p className="jp-Loom-answer">{block(view.proposal.answer)}</p>
      )}
      {files.map(file => (
        <ChangedFile
          key={file.path}
          file={file}
          left={model.left}
          choosing={view.state === 'review'}
          alone={files.length === 1}
        />
      ))}
    </div>
  );
}
