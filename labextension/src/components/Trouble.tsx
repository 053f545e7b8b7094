import type { JSX } from 'react';
import { useHost } from '../host';

/** Says what is wrong with the connection, if anything is. */
export function Trouble(): JSX.Element | null {
  const { trans, model } = useHost();
  if (!model.trouble) {
    return null;
  }
  return (
    <p className="jp-Loom-notice" role="status">
      {model.trouble === 'missing'
        ? trans.__(
            "Loom's server extension is not running: enter “jupyter server extension enable loom_jupyter.server” in a terminal and restart JupyterLab."
          )
        : trans.__('The server does not answer; Loom tries again.')}
    </p>
  );
}
