import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';

import { MemoryBar } from './components/MemoryBar';
import { useNow, useSignal } from './components/hooks';
import { type Host, HostContext } from './host';
import { count } from './view/figures';
import { line } from './view/plain';
import { shortStatus } from './view/status';
import { atWork } from './view/view';

interface Props {
  host: Host;
  onClick: () => void;
}

function Item({ host, onClick }: Props): JSX.Element {
  const { model, trans } = host;
  useSignal(model.changed);
  const { view, summary } = model;
  const busy =
    model.shown !== null && atWork(view.state) && summary?.alive !== false;
  const now = useNow(busy);
  const index = model.index.find(
    ({ workspace }) => workspace === summary?.workspace
  );
  const waits = summary?.state === 'review';
  const indexed = index?.files
    ? trans.__('Loom · %1 files indexed', count(index.files))
    : 'Loom';
  const said = busy || waits ? shortStatus(view, now, trans) : indexed;
  return (
    <button
      type="button"
      className="jp-Loom-item"
      title={trans.__('Open Loom')}
      onClick={onClick}
    >
      {line(said, 60)}
      {busy && <MemoryBar model={view.model} />}
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
