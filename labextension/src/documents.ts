/** Open documents and what Loom writes: unsaved edits are never lost, saved ones follow the disk. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';

/** The documents that are open in JupyterLab. */
export class Documents {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly manager: IDocumentManager,
    private readonly trans: TranslationBundle
  ) {}

  /** Open a file at a line (from 1). */
  async open(path: string, line?: number | null): Promise<void> {
    const widget = this.manager.openOrReveal(path);
    if (widget && line && !path.endsWith('.ipynb')) {
      await widget.context.ready;
      this.app.shell.activateById(widget.id);
      await this.app.commands.execute('fileeditor:go-to-line', {
        line,
        column: 1
      });
    }
  }

  /** Have edits of these files saved that are not yet; false if the user does not want that now. */
  async settle(paths: readonly string[]): Promise<boolean> {
    const unsaved = this.contexts(paths).filter(({ model }) => model.dirty);
    if (!unsaved.length) {
      return true;
    }
    const names = unsaved.map(({ path }) => path).join(', ');
    const { button } = await showDialog({
      title: this.trans.__('Unsaved edits'),
      body: this.trans.__(
        '%1 has edits that are not saved. Loom writes only into files that still are what its proposal was made for: save the edits and Loom will tell whether it still fits.',
        names
      ),
      buttons: [
        Dialog.cancelButton({ label: this.trans.__('Cancel') }),
        Dialog.okButton({ label: this.trans.__('Save and accept') })
      ]
    });
    if (!button.accept) {
      return false;
    }
    await Promise.all(unsaved.map(context => context.save()));
    return true;
  }

  /** Show what is on disk now in those of these files that are open and have no unsaved edits. */
  async reload(paths: readonly string[]): Promise<void> {
    const clean = this.contexts(paths).filter(({ model }) => !model.dirty);
    await Promise.all(clean.map(context => context.revert()));
  }

  private contexts(paths: readonly string[]): DocumentRegistry.Context[] {
    const found = new Set<DocumentRegistry.Context>();
    for (const widget of this.app.shell.widgets('main')) {
      const context = this.manager.contextForWidget(widget);
      if (context && paths.includes(context.path)) {
        found.add(context);
      }
    }
    return [...found];
  }
}

/** Return the Contents API's path of a file of a workspace. */
export function contentsPath(workspace: string, path: string): string {
  return PathExt.normalize(PathExt.join(workspace, path)).replace(/^\//, '');
}
