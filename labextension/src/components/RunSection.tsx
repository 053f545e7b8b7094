import type { JSX } from 'react';

import { useHost } from '../host';
import { outcome } from '../view/outcome';
import { block, line } from '../view/plain';
import { modelLine } from '../view/status';
import { atWork } from '../view/view';
import { Asking } from './Asking';
import { MemoryBar } from './MemoryBar';
import { Notice } from './Notice';
import { Rail } from './Rail';
import { Streams } from './Streams';
import { useNow } from './hooks';

/** The run that is shown: its task, its rail, and what there is to say of it. */
export function RunSection(): JSX.Element {
  const { trans, model } = useHost();
  const { view, summary } = model;
  const busy = atWork(view.state);
  const orphan = summary?.alive === false && busy;
  const now = useNow(busy && !orphan);
  const told = outcome(view, trans);
  return (
    <div className="jp-Loom-current">
      <p className="jp-Loom-asked" title={line(view.task)}>
        {line(view.task || summary?.task || '', 300)}
      </p>
      {view.chips.length > 0 && (
        <ul className="jp-Loom-tags" aria-label={trans.__('Of this run')}>
          {view.chips.map(chip => (
            <li key={chip.text + chip.command} className="jp-Loom-chip">
              {line(chip.text, 40)}
              {chip.command && <code>{line(chip.command, 60)}</code>}
            </li>
          ))}
        </ul>
      )}
      <Rail view={view} now={now} />
      {!orphan && <Asking view={view} />}
      {orphan && (
        <p className="jp-Loom-notice">
          {trans.__(
            'The kernel that worked on this run has ended: Stop closes it, then run the task again.'
          )}
        </p>
      )}
      {told.failed && (
        <div className="jp-Loom-error">
          {[told.tried, told.best, told.remedy].filter(Boolean).map(said => (
            <p key={said}>{line(said)}</p>
          ))}
        </div>
      )}
      {told.notices.map((said, number) => (
        <Notice key={number} text={said} />
      ))}
      {view.model.name && (
        <div className="jp-Loom-model">
          {line(modelLine(view.model, trans))}
          <MemoryBar model={view.model} />
        </div>
      )}
      <Streams view={view} />
      {view.after?.output && (
        <details className="jp-Loom-more">
          <summary>{trans.__('Check output')}</summary>
          <pre tabIndex={0}>{block(view.after.output)}</pre>
        </details>
      )}
    </div>
  );
}
