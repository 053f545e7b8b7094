import type { JSX } from 'react';

import type { RunDocument } from '../document';
import { useHost } from '../host';
import { ChangedFile } from './ChangedFile';

interface Props {
  document: RunDocument;
}

/** The proposal: an answer, or each file's diff. */
export function Changes({ document }: Props): JSX.Element {
  const { model } = useHost();
  const { answer, changes, actions } = document;
  return (
    <div className="jp-Loom-changes">
      {answer && <p className="jp-Loom-answer">{answer}</p>}
      {changes.map(change => (
        <ChangedFile
          key={change.path}
          change={change}
          left={model.left}
          choosing={actions.some(({ action }) => action === 'accept')}
          alone={changes.length === 1}
        />
      ))}
    </div>
  );
}
