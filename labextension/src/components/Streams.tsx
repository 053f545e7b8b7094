import type { JSX } from 'react';

import type { RunDocument } from '../document';
import { useHost } from '../host';
import { say } from '../messages';

interface Props {
  document: RunDocument;
}

/** What the nodes and the check wrote, and the candidates that were tried: on demand. */
export function Streams({ document }: Props): JSX.Element {
  const { trans } = useHost();
  const { texts, candidates, output } = document;
  return (
    <>
      {texts.map(({ node, title, text }) => (
        <details key={node} className="jp-Loom-more">
          <summary>{say(title, trans)}</summary>
          <pre tabIndex={0}>{text}</pre>
        </details>
      ))}
      {candidates.length > 0 && (
        <details className="jp-Loom-more">
          <summary>
            {trans._n(
              '%1 candidate',
              '%1 candidates',
              candidates.at(-1)?.number ?? 0
            )}
          </summary>
          <ol className="jp-Loom-candidates">
            {candidates.map(tried => {
              const text = say(tried.text, trans);
              return (
                <li key={tried.number} className={`jp-mod-${tried.verdict}`}>
                  <span className="jp-Loom-number">{tried.number}</span>
                  <span className="jp-Loom-verdict">
                    {say(tried.word, trans)}
                  </span>
                  <span className="jp-Loom-text" title={text}>
                    {text}
                  </span>
                </li>
              );
            })}
          </ol>
        </details>
      )}
      {output && (
        <details className="jp-Loom-more">
          <summary>{say(output.title, trans)}</summary>
          <pre tabIndex={0}>
            {output.earlier && `${say(output.earlier, trans)}\n`}
            {output.text}
          </pre>
        </details>
      )}
    </>
  );
}
