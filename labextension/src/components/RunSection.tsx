import type { JSX } from 'react';

import type { RunDocument } from '../document';
import { useHost } from '../host';
import { say, sayAll } from '../messages';
import { Asking } from './Asking';
import { MemoryBar } from './MemoryBar';
import { Notice } from './Notice';
import { Prose } from './Prose';
import { Steps } from './Steps';
import { Streams } from './Streams';

/** The run that is shown: its task, its steps, and what there is to say of it. */
export function RunSection(): JSX.Element {
  const { trans, model } = useHost();
  const { document, summary } = model;
  const task = document ? say(document.title, trans) : summary?.title;
  return (
    <div className="jp-Loom-current">
      <p className="jp-Loom-asked" title={task}>
        {task}
      </p>
      {document ? (
        <Told document={document} alive={summary?.alive !== false} />
      ) : (
        <ol className="jp-Loom-steps jp-mod-awaited" />
      )}
    </div>
  );
}

interface Props {
  document: RunDocument;
  alive: boolean;
}

function Told({ document, alive }: Props): JSX.Element {
  const { trans } = useHost();
  const { head, outcome } = document;
  const ending = outcome ? [outcome.tried, outcome.best, outcome.next] : [];
  return (
    <>
      {head.chips.length > 0 && (
        <ul className="jp-Loom-tags" aria-label={trans.__('Notes on this run')}>
          {head.chips.map(({ text, command }) => (
            <li key={say(text, trans) + command} className="jp-Loom-chip">
              {say(text, trans)}
              {command && <code>{command}</code>}
            </li>
          ))}
        </ul>
      )}
      <Steps steps={document.steps} />
      {alive && <Asking document={document} />}
      {outcome && (
        <div className="jp-Loom-error">
          {ending.map(
            said =>
              said && (
                <p key={said.id}>
                  <Prose text={say(said, trans)} />
                </p>
              )
          )}
        </div>
      )}
      {document.notices.map((notice, number) => (
        <Notice key={number} notice={notice} />
      ))}
      {head.model.length > 0 && (
        <div className="jp-Loom-model">
          {sayAll(head.model, trans)}
          <MemoryBar memory={head.memory} />
        </div>
      )}
      <Streams document={document} />
    </>
  );
}
