/** The sidebar's host: JupyterLab itself. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog, type IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import type { Extension } from '@codemirror/state';

import type { Choice } from './choice';
import { Comparison } from './comparison';
import { Documents, contentsPath } from './documents';
import type { Drafts } from './drafts';
import type { CellChange, Change } from './document';
import type { Host } from './host';
import { loomIcon } from './icon';
import type { LoomModel } from './model';
import { Notebooks } from './notebooks';
import { type CellText, start } from './start';
import { type Draft, cell, fix } from './task';
import { placeOf, put } from './written';

/** The parts of JupyterLab that the host stands on; those that may be missing are null. */
export interface Parts {
  app: JupyterFrontEnd;
  documents: IDocumentManager;
  translator: ITranslator;
  languages: IEditorLanguageRegistry | null;
  notebooks: INotebookTracker | null;
  files: IDefaultFileBrowser | null;
}

/** Carries out what the sidebar's components ask. */
export class LabHost implements Host {
  constructor(
    private readonly parts: Parts,
    readonly model: LoomModel,
    readonly drafts: Drafts
  ) {
    this.trans = parts.translator.load('loom_jupyter');
    this.documents = new Documents(
      parts.app,
      parts.documents,
      new Notebooks(parts.notebooks),
      this.trans
    );
    // Accept and Undo may be pressed in the cell, in a terminal or in another tab.
    model.written.connect((_, run) => {
      const paths = run.files.map(path => contentsPath(run.workspace, path));
      void this.documents.reload(paths);
    });
  }

  readonly trans: TranslationBundle;
  private readonly documents: Documents;

  open = (path: string, line?: number | null): void => {
    const { changes, document } = this.model;
    const cell = document?.cell;
    if (cell && changes.some(change => change.path === path)) {
      const place = cell.cell_id
        ? placeOf(this.parts.notebooks, cell, document.task)
        : null;
      if (place) {
        this.parts.app.shell.activateById(place.panel.id);
        place.panel.content.activeCellIndex = place.index;
      }
    } else {
      void this.documents.open(this.path(path), line);
    }
  };

  run = async (draft: Draft): Promise<void> => {
    await this.start(folder => cell(draft, folder));
    this.model.expect();
  };

  fix = async (draft: Draft): Promise<void> => {
    await this.start(() => fix(draft));
    this.model.expect();
  };

  replay = (run: string): Promise<void> =>
    this.start(() => `%loom replay ${run}`);

  pick = async (): Promise<string[]> => {
    const { documents, files, translator } = this.parts;
    const { value } = await FileDialog.getOpenFiles({
      manager: documents,
      translator,
      title: this.trans.__('Files that matter'),
      defaultPath: files?.model.path ?? '',
      filter: ({ type }) => (type === 'directory' ? null : { score: 1 })
    });
    return (value ?? [])
      .filter(file => file.type !== 'directory')
      .map(file => file.path);
  };

  accept = async (chosen: Choice, merged = false): Promise<void> => {
    const { document } = this.model;
    if (document?.cell) {
      await this.acceptCell(document.cell, document.task);
      return;
    }
    const files = chosen.paths.map(path => this.path(path));
    const some = chosen.whole
      ? {}
      : { paths: chosen.paths, hunks: chosen.hunks };
    const asked = { ...some, merged };
    if (
      (await this.documents.settle(files)) &&
      (await this.model.ask('accept', asked))
    ) {
      await this.documents.reload(files);
    }
  };

  private async acceptCell(cell: CellChange, task: string): Promise<void> {
    const place = placeOf(this.parts.notebooks, cell, task);
    if (!place) {
      this.model.refuse(
        this.trans.__(
          'No open notebook has this cell, or it was edited since it ran. Open its notebook, or copy the text below.'
        )
      );
    } else if (await this.model.ask('accept')) {
      this.parts.app.shell.activateById(place.panel.id);
      put(place, cell.source);
    }
  }

  undo = async (): Promise<void> => {
    const files = this.proposed().map(path => this.path(path));
    const notebooks = files.filter(path => path.endsWith('.ipynb'));
    if (
      (await this.documents.settle(notebooks)) &&
      (await this.model.ask('undo'))
    ) {
      await this.documents.reload(files);
    }
  };

  compare = (change: Change): void => {
    const id = `loom-compare-${this.model.shown}-${change.path}`;
    const { shell } = this.parts.app;
    const open = [...shell.widgets('main')].find(widget => widget.id === id);
    if (!open) {
      const content = new Comparison(this, change);
      const widget = new MainAreaWidget({ content });
      widget.id = id;
      widget.title.label = change.name.split('/').at(-1) ?? change.name;
      widget.title.caption = this.trans.__(
        'What Loom proposes: %1',
        change.name
      );
      widget.title.icon = loomIcon;
      widget.title.closable = true;
      shell.add(widget, 'main');
    }
    shell.activateById(id);
  };

  remove = async (run: string): Promise<boolean> => {
    const { button } = await showDialog({
      title: this.trans.__('Delete this run?'),
      body: this.trans.__(
        'Its log and its evidence are deleted, and what it wrote can no longer be undone. Your files stay as they are.'
      ),
      buttons: [
        Dialog.cancelButton({ label: this.trans.__('Cancel') }),
        Dialog.warnButton({ label: this.trans.__('Delete') })
      ]
    });
    if (!button.accept) {
      return false;
    }
    try {
      await this.model.remove(run);
      return true;
    } catch (error) {
      await showDialog({
        title: this.trans.__('The run was not deleted'),
        body: error instanceof Error ? error.message : String(error),
        buttons: [Dialog.okButton()]
      });
      return false;
    }
  };

  language = async (path: string): Promise<Extension | null> => {
    const { languages } = this.parts;
    const found = path.endsWith('.ipynb')
      ? languages?.findByName('python')
      : languages?.findByFileName(path);
    const loaded = found ? await languages?.getLanguage(found) : null;
    return loaded?.support ?? null;
  };

  private start(text: CellText): Promise<void> {
    const { app, notebooks, files } = this.parts;
    return start(app, notebooks, text, files?.model.path ?? '');
  }

  private path(path: string): string {
    return contentsPath(this.model.summary?.workspace ?? '', path);
  }

  private proposed(): string[] {
    return this.model.changes.map(change => change.path);
  }
}
