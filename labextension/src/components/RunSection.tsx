import type { JSX } from 'react';
import { Button, stopIcon } from '@jupyterlab/ui-components';

import { useHost } from '../host';
import { outcome } from '../view/outcome';
import { block, line } from '../view/plain';
import { modelLine, status } from '../view/status';
import { atWork } from '../view/view';
import { MemoryBar } from './MemoryBar';
import { Rail } from './Rail';
import { Streams } from './Streams';
import { useNow } from './hooks';

/** The run that is shown: its task, its rail, where it stands, and Stop. */
export function RunSection(): JSX.Element {
  const { trans, model } = useHost();
  const { view, summary, asking } = model;
  const busy = atWork(view.state);
  const orphan = summary?.alive === false && busy;
  const now = useNow(busy && !orphan);
  const where = status(view, now, trans);
  const told = outcome(view, trans);
  return (
    <div className="jp-Loom-current">
      <p className="jp-Loom-asked" title={line(view.task)}>
        {line(view.task || summary?.task || '', 300)}
      </p>
      <Rail view={view} now={now} />
      <div className="jp-Loom-status">
        <span className="jp-Loom-where" role="status" aria-live="polite">
          {where.text}
        </span>
        {busy && (
          <Button
            className="jp-mod-styled jp-mod-warn jp-Loom-stop"
            disabled={asking !== null}
            onClick={() => void model.ask('stop')}
          >
            <stopIcon.react tag="span" className="jp-Loom-icon" />
            {asking === 'stop' ? trans.__('Stopping …') : trans.__('Stop')}
          </Button>
        )}
      </div>
      <div
        className="jp-Loom-meter"
        aria-hidden="true"
        style={{ visibility: where.fraction === null ? 'hidden' : 'visible' }}
      >
        <i style={{ width: `${(where.fraction ?? 0) * 100}%` }} />
      </div>
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
      {model.refusal && (
        <p className="jp-Loom-error" role="alert">
          {line(model.refusal)}
        </p>
      )}
      {told.notices.map((said, number) => (
        <p key={number} className="jp-Loom-notice">
          {line(said)}
        </p>
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
