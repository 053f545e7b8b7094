/** Everything that the sidebar can do, as commands: for palette, keyboard and menus. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';

import { aboutCell, aboutError, isLastError } from './cells';
import { choice } from './choice';
import type { Host } from './host';
import { loomIcon } from './icon';

export const FOCUS = 'loom:focus';

/** Add the commands. `show` brings the sidebar to the front. */
export function addCommands(
  app: JupyterFrontEnd,
  host: Host,
  show: () => void,
  files: IDefaultFileBrowser | null,
  notebooks: INotebookTracker | null,
  palette: ICommandPalette | null
): void {
  const { commands } = app;
  const { trans, model, drafts } = host;
  const over = () => model.document !== null && !model.document.at_work;
  const go = () => {
    show();
    drafts.focus();
  };
  commands.addCommand(FOCUS, {
    label: trans.__('Write a Task for Loom'),
    caption: trans.__('Open the Loom sidebar and write a task'),
    icon: loomIcon,
    execute: go
  });
  commands.addCommand('loom:run', {
    label: trans.__('Run the Task'),
    isEnabled: () => drafts.value.task.trim() !== '',
    execute: async () => {
      await host.run(drafts.value);
      drafts.set({ task: '' });
    }
  });
  commands.addCommand('loom:stop', {
    label: trans.__('Stop the Run'),
    isEnabled: () => model.offer('stop') !== null,
    execute: () => model.ask('stop')
  });
  commands.addCommand('loom:accept', {
    label: trans.__('Accept the Changes'),
    isEnabled: () => model.offer('accept') !== null,
    execute: () =>
      host.accept(
        choice(model.changes, model.left),
        model.offer('accept')?.merged
      )
  });
  commands.addCommand('loom:reject', {
    label: trans.__('Reject the Changes'),
    isEnabled: () => model.offer('reject') !== null,
    execute: () => model.ask('reject')
  });
  commands.addCommand('loom:undo', {
    label: trans.__('Undo the Accepted Changes'),
    isEnabled: () => model.offer('undo') !== null,
    execute: () => host.undo()
  });
  commands.addCommand('loom:history', {
    label: trans.__('History of Runs'),
    execute: () => {
      show();
      model.browse(true);
    }
  });
  commands.addCommand('loom:replay', {
    label: trans.__('Replay the Run'),
    isEnabled: over,
    execute: () => (model.shown ? host.replay(model.shown) : undefined)
  });
  commands.addCommand('loom:delete', {
    label: trans.__('Delete the Run…'),
    isEnabled: over,
    execute: () => (model.shown ? host.remove(model.shown) : undefined)
  });
  commands.addCommand('loom:tag', {
    label: trans.__('Tag for Loom'),
    icon: loomIcon,
    isVisible: () => files !== null,
    execute: () => {
      const chosen = [...(files?.selectedItems() ?? [])];
      drafts.tag(
        chosen.filter(item => item.type !== 'directory').map(item => item.path)
      );
      show();
    }
  });
  commands.addCommand('loom:ask-cell', {
    label: trans.__('Ask Loom about This Cell'),
    icon: loomIcon,
    isEnabled: () => Boolean(notebooks?.activeCell),
    execute: () => {
      const cell = notebooks?.activeCell;
      if (cell) {
        drafts.set({ task: aboutCell(cell, trans), ask: true });
        go();
      }
    }
  });
  commands.addCommand('loom:ask-error', {
    label: trans.__('Ask Loom about This Error'),
    icon: loomIcon,
    isEnabled: () => Boolean(notebooks?.activeCell),
    execute: () => {
      const cell = notebooks?.activeCell;
      const about = cell && aboutError(cell, trans);
      const all = notebooks?.currentWidget?.content.widgets ?? [];
      if (cell && isLastError(cell, all)) {
        show();
        return host.fix(drafts.value);
      }
      if (about) {
        drafts.set({ task: about, ask: false });
        go();
      }
      return undefined;
    }
  });
  const category = trans.__('Loom');
  for (const command of commands.listCommands()) {
    if (command.startsWith('loom:')) {
      palette?.addItem({ command, category });
    }
  }
  const changed = () => commands.notifyCommandChanged();
  model.changed.connect(changed);
}
