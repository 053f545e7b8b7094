import { Button } from '@jupyterlab/ui-components';
import { type JSX, useState } from 'react';

import { useHost } from '../host';

/** Asks once whether the settings of the workspace may run and send what they name; only what is shown is trusted. */
export function Trust(): JSX.Element | null {
  const { trans, model } = useHost();
  const [problem, setProblem] = useState('');
  const { trust } = model;
  if (!trust || trust.granted || !trust.needed.length) {
    return null;
  }
  const keys = trust.needed.map(({ key }) => key).join(', ');
  return (
    <section
      className="jp-Loom-notice"
      aria-label={trans.__('Settings that are not trusted')}
    >
      <p>
        {trust.changed.length
          ? trans.__(
              'The settings of this workspace changed since you trusted them, so these are ignored: %1.',
              keys
            )
          : trans.__(
              'The settings of this workspace are not trusted, so these are ignored: %1.',
              keys
            )}
      </p>
      <details className="jp-Loom-more">
        <summary>{trans.__('Show what they would do')}</summary>
        <dl>
          {trust.needed.map(({ key, value, does }) => (
            <div key={key}>
              <dt>
                <code>{`${key} = ${value}`}</code>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
        <Button
          className="jp-mod-styled jp-mod-warn"
          onClick={() => {
            setProblem('');
            model.grant().catch((error: unknown) => {
              setProblem(
                error instanceof Error ? error.message : String(error)
              );
            });
          }}
        >
          {trans.__('Trust these settings')}
        </Button>
      </details>
      {problem && (
        <p className="jp-Loom-error" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}
