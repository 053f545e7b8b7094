import {
  Button,
  checkIcon,
  closeIcon,
  stopIcon,
  undoIcon
} from '@jupyterlab/ui-components';
import type { JSX } from 'react';

import { choice } from '../choice';
import { useHost } from '../host';
import { say, sayAll } from '../messages';
import { useHeldFocus } from './hooks';

/** Where the shown run stands, and what can be asked of it: always in sight. */
export function Footer(): JSX.Element {
  const { trans, model, accept, undo } = useHost();
  const { document, asking, left } = model;
  const row = useHeldFocus();
  const fraction = document?.bar.fraction ?? null;
  const chosen = choice(model.changes, left);
  const [stop, take, reject, restore] = [
    model.offer('stop'),
    model.offer('accept'),
    model.offer('reject'),
    model.offer('undo')
  ];
  return (
    <footer className="jp-Loom-foot">
      {model.refusal && (
        <p className="jp-Loom-error" role="alert">
          {model.refusal.split('\n')[0]}
        </p>
      )}
      <div className="jp-Loom-where" role="status" aria-live="polite">
        {document && sayAll(document.bar.text, trans)}
      </div>
      <div
        className="jp-Loom-meter"
        aria-hidden="true"
        style={{ visibility: fraction === null ? 'hidden' : 'visible' }}
      >
        <i style={{ width: `${(fraction ?? 0) * 100}%` }} />
      </div>
      <div className="jp-Loom-buttons" {...row}>
        {stop && (
          <Button
            className="jp-mod-styled jp-mod-warn"
            disabled={asking !== null}
            title={say(stop.why, trans)}
            onClick={() => void model.ask('stop')}
          >
            <stopIcon.react tag="span" className="jp-Loom-icon" />
            {asking === 'stop'
              ? trans.__('Stopping …')
              : say(stop.label, trans)}
          </Button>
        )}
        {take && (
          <Button
            className="jp-mod-styled jp-mod-accept"
            disabled={asking !== null || chosen.paths.length === 0}
            title={say(take.why, trans)}
            onClick={() => void accept(chosen, take.merged)}
          >
            <checkIcon.react tag="span" className="jp-Loom-icon" />
            {chosen.whole || take.merged
              ? say(take.label, trans)
              : trans.__('Accept chosen')}
          </Button>
        )}
        {reject && (
          <Button
            className="jp-mod-styled"
            disabled={asking !== null}
            title={say(reject.why, trans)}
            onClick={() => void model.ask('reject')}
          >
            <closeIcon.react tag="span" className="jp-Loom-icon" />
            {say(reject.label, trans)}
          </Button>
        )}
        {restore && (
          <Button
            className="jp-mod-styled"
            disabled={asking !== null}
            title={say(restore.why, trans)}
            onClick={() => void undo()}
          >
            <undoIcon.react tag="span" className="jp-Loom-icon" />
            {say(restore.label, trans)}
          </Button>
        )}
      </div>
    </footer>
  );
}
