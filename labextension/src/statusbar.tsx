import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';

import { MemoryBar } from './components/MemoryBar';
import { useSignal } from './components/hooks';
import { type Host, HostContext } from './host';
import { say } from './messages';

interface Props {
  host: Host;
  onClick: () => void;
}

function Item({ host, onClick }: Props): JSX.Element {
  const { model, trans } = host;
  useSignal(model.changed);
  const { document, summary } = model;
  const busy = document?.at_work === true && summary?.alive !== false;
  const index = model.index.find(
    ({ workspace }) => workspace === summary?.workspace
  );
  const waits = summary?.state === 'review';
  const indexed = index?.files
    ? trans.__('Loom · %1 files indexed', index.files.toLocaleString('en-US'))
    : 'Loom';
  const said =
    document && (busy || waits) ? say(document.bar.short, trans) : indexed;
  return (
    <button
      type="button"
      className="jp-Loom-item"
      title={trans.__('Open Loom')}
      onClick={onClick}
    >
      {said}
      {busy && <MemoryBar memory={document.head.memory} />}
    </button>
  );
}

/** `Loom ◐ Coder 27 tok/s` while something runs, else the state of the index. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly host: Host,
    private readonly onClick: () => void
  ) {
    super();
    this.id = 'loom-status';
  }

  protected override render(): JSX.Element {
    return (
      <HostContext.Provider value={this.host}>
        <Item host={this.host} onClick={this.onClick} />
      </HostContext.Provider>
    );
  }
}
