import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';

import { Diff } from './components/Diff';
import type { ProposedFile } from './events';
import { type Host, HostContext } from './host';
import { parts } from './view/diff';

/** A file's change side by side, in the main area. */
export class Comparison extends ReactWidget {
  constructor(
    private readonly host: Host,
    private readonly file: ProposedFile
  ) {
    super();
    this.addClass('jp-Loom-comparison');
    this.found = parts(file.diff);
  }

  private readonly found;

  protected override render(): JSX.Element {
    return (
      <HostContext.Provider value={this.host}>
        <Diff path={this.file.path} parts={this.found} split={true} />
      </HostContext.Provider>
    );
  }
}
