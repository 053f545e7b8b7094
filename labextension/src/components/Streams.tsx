import type { JSX } from 'react';
import { useHost } from '../host';
import { block, line } from '../view/plain';
import type { RunView } from '../view/view';
import { rail } from '../view/rail';

interface Props {
  view: RunView;
}

/** What the nodes wrote, and the candidates that were tried: on demand. */
export function Streams({ view }: Props): JSX.Element {
  const { trans } = useHost();
  const names = new Map(
    rail(view, 0, trans).map(({ node, name }) => [node, name])
  );
  return (
    <>
      {view.steps
        .filter(step => step.text)
        .map(step => (
          <details key={step.node} className="jp-Loom-more">
            <summary>
              {trans.__('Text of the %1', names.get(step.node))}
            </summary>
            <pre tabIndex={0}>{block(step.text)}</pre>
          </details>
        ))}
      {view.candidates.length > 0 && (
        <details className="jp-Loom-more">
          <summary>
            {trans._n(
              '%1 candidate',
              '%1 candidates',
              view.candidates.at(-1)?.number ?? 0
            )}
          </summary>
          <ol className="jp-Loom-candidates">
            {view.candidates.map(tried => (
              <li key={tried.number} className={`jp-mod-${tried.verdict}`}>
                <span className="jp-Loom-number">{tried.number}</span>
                <span className="jp-Loom-verdict">{tried.verdict}</span>
                <span className="jp-Loom-text" title={line(tried.reason)}>
                  {line(`${tried.kind}: ${tried.reason}`, 160)}
                </span>
              </li>
            ))}
          </ol>
        </details>
      )}
    </>
  );
}
