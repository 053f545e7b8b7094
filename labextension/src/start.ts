/** Hand something to Loom: a cell in the active notebook, or a console where none is open. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ConsolePanel } from '@jupyterlab/console';
import { PathExt } from '@jupyterlab/coreutils';
import {
  type INotebookTracker,
  NotebookActions,
  type NotebookPanel
} from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

import { LOAD } from './task';

const LOADED = /^\s*%(re)?load_ext\s+loom_jupyter\b/m;
/** Loads the extension where it is not loaded yet, and says nothing where it is. */
const ENSURE = "get_ipython().extension_manager.load_extension('loom_jupyter')";

/** Return the text of a cell for a notebook (or console) in a folder. */
export type CellText = (folder: string) => string;

/** Run a cell in the notebook that was used last, else in a console for `folder`. */
export async function start(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker | null,
  cell: CellText,
  folder: string
): Promise<void> {
  const panel = notebooks?.currentWidget;
  if (panel && !panel.isDisposed) {
    await inNotebook(app, panel, cell);
  } else {
    await inConsole(app, cell, folder);
  }
}

async function inNotebook(
  app: JupyterFrontEnd,
  panel: NotebookPanel,
  cell: CellText
): Promise<void> {
  await panel.context.ready;
  await panel.sessionContext.ready;
  const { content: notebook, sessionContext } = panel;
  if (!sessionContext.session?.kernel) {
    throw new Error(
      `${panel.title.label} has no kernel; choose a Python kernel for it and run again.`
    );
  }
  const sources = notebook.widgets.map(({ model }) => model.sharedModel.source);
  const texts = [cell(PathExt.dirname(panel.context.path))];
  if (!sources.some(source => LOADED.test(source))) {
    texts.unshift(LOAD);
  }
  const cells = texts.map(text => {
    const active = notebook.activeCell;
    if (
      active?.model.type !== 'code' ||
      active.model.sharedModel.source.trim()
    ) {
      NotebookActions.insertBelow(notebook);
    }
    notebook.activeCell?.model.sharedModel.setSource(text);
    return notebook.activeCell;
  });
  app.shell.activateById(panel.id);
  ensure(sessionContext.session.kernel);
  const added = cells.flatMap(found => (found ? [found] : []));
  // Not awaited: a kernel that runs another cell begins with this one when that is over.
  void NotebookActions.runCells(notebook, added, sessionContext);
  const last = added.at(-1);
  if (last) {
    await notebook.scrollToCell(last);
  }
}

async function inConsole(
  app: JupyterFrontEnd,
  cell: CellText,
  folder: string
): Promise<void> {
  const { specs } = app.serviceManager.kernelspecs;
  const python = Object.values(specs?.kernelspecs ?? {}).find(
    spec => spec?.language === 'python'
  );
  if (!python) {
    throw new Error('There is no Python kernel here; install ipykernel.');
  }
  const panel = (await app.commands.execute('console:create', {
    basePath: folder,
    activate: true,
    kernelPreference: { name: python.name, shouldStart: true }
  })) as ConsolePanel;
  await panel.sessionContext.ready;
  await panel.console.inject(LOAD);
  await panel.console.inject(cell(folder));
}

function ensure(kernel: Kernel.IKernelConnection): void {
  const future = kernel.requestExecute({
    code: ENSURE,
    silent: true,
    store_history: false,
    stop_on_error: false
  });
  future.done.catch(() => undefined); // the kernel ended meanwhile: the cell tells
}
