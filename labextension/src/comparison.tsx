import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';

import { Diff } from './components/Diff';
import type { Change } from './document';
import { type Host, HostContext } from './host';

/** A file's change side by side, in the main area. */
export class Comparison extends ReactWidget {
  constructor(
    private readonly host: Host,
    private readonly change: Change
  ) {
    super();
    this.addClass('jp-Loom-comparison');
  }

  protected override render(): JSX.Element {
    return (
      <HostContext.Provider value={this.host}>
        <Diff change={this.change} split={true} />
      </HostContext.Provider>
    );
  }
}
