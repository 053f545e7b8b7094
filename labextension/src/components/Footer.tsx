import {
  Button,
  checkIcon,
  closeIcon,
  stopIcon,
  undoIcon
} from '@jupyterlab/ui-components';
import type { JSX } from 'react';

import { useHost } from '../host';
import { choice } from '../view/choice';
import { line } from '../view/plain';
import { status } from '../view/status';
import type { Words } from '../view/words';
import { atWork } from '../view/view';
import { useHeldFocus, useNow } from './hooks';

function acceptLabel(whole: boolean, fits: boolean, trans: Words): string {
  if (fits) {
    return trans.__('Accept merged');
  }
  return whole ? trans.__('Accept') : trans.__('Accept chosen');
}

/** Where the shown run stands, and what can be asked of it: always in sight. */
export function Footer(): JSX.Element {
  const { trans, model, accept, undo } = useHost();
  const { view, summary, asking, left } = model;
  const fits = view.mergeable;
  const busy = atWork(view.state);
  const now = useNow(busy && summary?.alive !== false);
  const where = status(view, now, trans);
  const row = useHeldFocus();
  const files = view.proposal?.files ?? [];
  const chosen = choice(files, left);
  return (
    <footer className="jp-Loom-foot">
      {model.refusal && (
        <p className="jp-Loom-error" role="alert">
          {line(model.refusal.split('\n')[0] ?? '')}
        </p>
      )}
      <div className="jp-Loom-where" role="status" aria-live="polite">
        {where.text}
      </div>
      <div
        className="jp-Loom-meter"
        aria-hidden="true"
        style={{ visibility: where.fraction === null ? 'hidden' : 'visible' }}
      >
        <i style={{ width: `${(where.fraction ?? 0) * 100}%` }} />
      </div>
      <div className="jp-Loom-buttons" {...row}>
        {busy && (
          <Button
            className="jp-mod-styled jp-mod-warn"
            disabled={asking !== null}
            onClick={() => void model.ask('stop')}
          >
            <stopIcon.react tag="span" className="jp-Loom-icon" />
            {asking === 'stop' ? trans.__('Stopping …') : trans.__('Stop')}
          </Button>
        )}
        {view.state === 'review' && (
          <>
            <Button
              className="jp-mod-styled jp-mod-accept"
              disabled={asking !== null || chosen.paths.length === 0}
              title={
                fits
                  ? trans.__(
                      'Write it on top of your own edits, which do not touch it'
                    )
                  : undefined
              }
              onClick={() => void accept(chosen, fits)}
            >
              <checkIcon.react tag="span" className="jp-Loom-icon" />
              {acceptLabel(chosen.whole, fits, trans)}
            </Button>
            <Button
              className="jp-mod-styled"
              disabled={asking !== null}
              onClick={() => void model.ask('reject')}
            >
              <closeIcon.react tag="span" className="jp-Loom-icon" />
              {trans.__('Reject')}
            </Button>
          </>
        )}
        {view.state === 'accepted' &&
          files.length > 0 &&
          !view.proposal?.cell && (
            <Button
              className="jp-mod-styled"
              disabled={asking !== null}
              onClick={() => void undo()}
            >
              <undoIcon.react tag="span" className="jp-Loom-icon" />
              {trans.__('Undo')}
            </Button>
          )}
      </div>
    </footer>
  );
}
