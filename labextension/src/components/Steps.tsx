import type { JSX } from 'react';

import type { Step } from '../document';
import { useHost } from '../host';
import { say, sayAll } from '../messages';

interface Props {
  steps: readonly Step[];
}

/** Architect → Explorer → Coder → Check → Review. */
export function Steps({ steps }: Props): JSX.Element {
  const { trans } = useHost();
  return (
    <ol className="jp-Loom-steps">
      {steps.map(step => {
        const text = sayAll(step.text, trans);
        const aside = sayAll(step.aside, trans);
        return (
          <li key={step.node} className={`jp-Loom-step jp-mod-${step.state}`}>
            <span className="jp-Loom-mark" aria-hidden="true">
              {step.mark}
            </span>
            <span className="jp-Loom-name">
              {say(step.name, trans)}
              <span className="jp-Loom-hidden">
                {`: ${say(step.spoken, trans)}`}
              </span>
            </span>
            <span className="jp-Loom-time">{step.time}</span>
            <span className="jp-Loom-text" title={text}>
              {text}
            </span>
            {aside && <span className="jp-Loom-note">{aside}</span>}
          </li>
        );
      })}
    </ol>
  );
}
