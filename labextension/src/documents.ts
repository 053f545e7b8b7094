/** Open documents and what Loom writes: unsaved edits are never lost, open documents follow the disk. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Notebooks } from './notebooks';

/** The documents that are open in JupyterLab. */
export class Documents {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly manager: IDocumentManager,
    private readonly notebooks: Notebooks,
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

  /**
   * Have edits of these files saved that are not yet; false if the user does not want that now.
   *
   * Notebooks are saved without a question, as JupyterLab does by itself all the time: a run's own cell makes
   * them unsaved. Whether the proposal still fits is found out from the file, and only there.
   */
  async settle(paths: readonly string[]): Promise<boolean> {
    const unsaved = this.contexts(paths).filter(({ model }) => model.dirty);
    const texts = unsaved.filter(context => !this.notebooks.has(context));
    if (texts.length && !(await this.maySave(texts))) {
      return false;
    }
    try {
      await Promise.all(unsaved.map(context => context.save()));
      return true;
    } catch {
      return false; // JupyterLab told why, or its user changed their mind
    }
  }

  private async maySave(
    unsaved: readonly DocumentRegistry.Context[]
  ): Promise<boolean> {
    const names = unsaved.map(({ path }) => path).join(', ');
    const { button } = await showDialog({
      title: this.trans.__('Unsaved edits'),
      body: this.trans.__(
        '%1 has unsaved edits. Loom writes only into files that did not change since its proposal was made: save the edits, and Loom will say whether the proposal still applies.',
        names
      ),
      buttons: [
        Dialog.cancelButton({ label: this.trans.__('Cancel') }),
        Dialog.okButton({ label: this.trans.__('Save and accept') })
      ]
    });
    return button.accept;
  }

  /**
   * Show what Loom wrote in those of these files that are open.
   *
   * Notebooks take it over cell by cell; other files are read again if they have no unsaved edits.
   */
  async reload(paths: readonly string[]): Promise<void> {
    await Promise.all(
      this.contexts(paths).map(async context => {
        if (this.notebooks.has(context)) {
          this.tell(context.path, await this.notebooks.follow(context));
        } else if (!context.model.dirty) {
          await context.revert();
        }
      })
    );
  }

  /** Say which cells were left alone. */
  private tell(path: string, conflicts: readonly string[]): void {
    if (conflicts.length) {
      const text = this.trans._n(
        '%2: %1 cell that Loom changed has unsaved edits of yours, which were kept. Save to keep them, or reload the notebook from disk to get Loom’s.',
        '%2: %1 cells that Loom changed have unsaved edits of yours, which were kept. Save to keep them, or reload the notebook from disk to get Loom’s.',
        conflicts.length,
        path
      );
      Notification.warning(text, { autoClose: false });
    }
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
