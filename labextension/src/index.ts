/** Loom's sidebar for JupyterLab. */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Api } from './api';
import { FOCUS, addCommands } from './commands';
import { Drafts } from './drafts';
import { LabHost } from './lab';
import { LoomModel } from './model';
import { remember } from './remember';
import { LoomSidebar } from './sidebar';
import { StatusItem } from './statusbar';

const ID = 'loom-jupyter:sidebar';

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The Loom sidebar: task, run, evidence and changes.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [
    ITranslator,
    INotebookTracker,
    IDefaultFileBrowser,
    IEditorLanguageRegistry,
    ISettingRegistry,
    ICommandPalette,
    ILauncher,
    IStatusBar,
    ILayoutRestorer,
    IStateDB
  ],
  activate
};

function activate(
  app: JupyterFrontEnd,
  documents: IDocumentManager,
  translator: ITranslator | null,
  notebooks: INotebookTracker | null,
  files: IDefaultFileBrowser | null,
  languages: IEditorLanguageRegistry | null,
  settings: ISettingRegistry | null,
  palette: ICommandPalette | null,
  launcher: ILauncher | null,
  statusBar: IStatusBar | null,
  restorer: ILayoutRestorer | null,
  state: IStateDB | null
): void {
  const model = new LoomModel(new Api(app.serviceManager.serverSettings));
  const drafts = new Drafts();
  const host = new LabHost(
    {
      app,
      documents,
      translator: translator ?? nullTranslator,
      languages,
      notebooks,
      files
    },
    model,
    drafts
  );
  const sidebar = new LoomSidebar(host);
  app.shell.add(sidebar, 'right', { rank: 450, type: 'Loom' });
  restorer?.add(sidebar, sidebar.id);
  const show = () => app.shell.activateById(sidebar.id);
  addCommands(app, host, show, files, notebooks, palette);
  launcher?.add({ command: FOCUS, category: host.trans.__('Other'), rank: 5 });
  statusBar?.registerStatusItem('loom-jupyter:status', {
    item: new StatusItem(host, show),
    align: 'left',
    rank: 600
  });
  const defaults = useDefaults(settings, drafts).catch((reason: unknown) => {
    console.warn('Loom begins without its settings', reason);
  });
  void defaults
    .then(() => state && remember(state, model, drafts))
    .then(() => model.start());
}

/** Begin drafts with the check and the model of the settings. */
async function useDefaults(
  registry: ISettingRegistry | null,
  drafts: Drafts
): Promise<void> {
  const settings = await registry?.load(ID);
  const take = () => {
    const check = settings?.get('check').composite as string;
    const model = settings?.get('model').composite as string;
    drafts.set({ check, model });
  };
  settings?.changed.connect(take);
  if (settings) {
    take();
  }
}

export default plugin;
