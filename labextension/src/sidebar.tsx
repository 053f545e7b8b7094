import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Drag } from '@lumino/dragdrop';
import type { Message } from '@lumino/messaging';

import { Sidebar } from './components/Sidebar';
import { type Host, HostContext } from './host';
import { loomIcon } from './icon';

const FILES = 'application/x-jupyter-icontents';

/** The sidebar. Files that are dropped on it are tagged. */
export class LoomSidebar extends ReactWidget {
  constructor(private readonly host: Host) {
    super();
    this.id = 'loom-sidebar';
    this.addClass('jp-Loom');
    this.title.icon = loomIcon;
    this.title.caption = host.trans.__('Loom');
  }

  protected override render(): JSX.Element {
    return (
      <HostContext.Provider value={this.host}>
        <Sidebar />
      </HostContext.Provider>
    );
  }

  /** Take the drags of the file browser. */
  handleEvent(event: Event): void {
    const drag = event as Drag.Event;
    if (!drag.mimeData.hasData(FILES)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const over = event.type === 'lm-dragenter' || event.type === 'lm-dragover';
    this.toggleClass('jp-mod-dropTarget', over);
    if (over) {
      drag.dropAction = drag.proposedAction;
    } else if (event.type === 'lm-drop') {
      drag.dropAction = drag.proposedAction;
      this.host.drafts.tag(drag.mimeData.getData(FILES) as string[]);
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    for (const type of DRAGS) {
      this.node.addEventListener(type, this, true);
    }
  }

  protected override onBeforeDetach(message: Message): void {
    for (const type of DRAGS) {
      this.node.removeEventListener(type, this, true);
    }
    super.onBeforeDetach(message);
  }
}

const DRAGS = ['lm-dragenter', 'lm-dragover', 'lm-dragleave', 'lm-drop'];
