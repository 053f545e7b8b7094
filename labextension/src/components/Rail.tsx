import type { JSX } from 'react';
import { useHost } from '../host';
import { rail } from '../view/rail';
import type { RunView } from '../view/view';

interface Props {
  view: RunView;
  now: number;
}

/** Architect → Explorer → Coder → Check → Review. */
export function Rail({ view, now }: Props): JSX.Element {
  const { trans } = useHost();
  return (
    <ol className="jp-Loom-rail">
      {rail(view, now, trans).map(line => (
        <li key={line.node} className={`jp-Loom-step jp-mod-${line.state}`}>
          <span className="jp-Loom-mark" aria-hidden="true">
            {line.mark}
          </span>
          <span className="jp-Loom-name">
            {line.name}
            <span className="jp-Loom-hidden">{`: ${line.spoken}`}</span>
          </span>
          <span className="jp-Loom-time">{line.time}</span>
          <span className="jp-Loom-text" title={line.text}>
            {line.text}
          </span>
          {line.aside && <span className="jp-Loom-note">{line.aside}</span>}
        </li>
      ))}
    </ol>
  );
}
