/** What the sidebar asks of JupyterLab. */
import type { Extension } from '@codemirror/state';
import type { TranslationBundle } from '@jupyterlab/translation';
import { createContext, useContext } from 'react';

import type { Choice } from './choice';
import type { Change } from './document';
import type { Drafts } from './drafts';
import type { LoomModel } from './model';
import type { Draft } from './task';

/** JupyterLab, as far as the sidebar needs it. Paths are relative to the shown run's workspace. */
export interface Host {
  readonly trans: TranslationBundle;
  readonly model: LoomModel;
  readonly drafts: Drafts;
  /** Open a file at a line (from 1). */
  readonly open: (path: string, line?: number | null) => void;
  /** Hand a task to Loom in the active notebook, or in a console. */
  readonly run: (draft: Draft) => Promise<void>;
  /** Explain and fix the active notebook's last exception. */
  readonly fix: (draft: Draft) => Promise<void>;
  /** Take a run through the nodes again, from its recording; the cell says whether it came to the same. */
  readonly replay: (run: string) => Promise<void>;
  /** Let the user pick files to tag. */
  readonly pick: () => Promise<string[]>;
  /**
   * Write what was chosen of the proposal; with `merged`, on top of edits that do not touch it.
   * Unsaved edits are saved first: in notebooks as a matter of course, in other files if the user says so.
   */
  readonly accept: (chosen: Choice, merged?: boolean) => Promise<void>;
  /** Take it back. */
  readonly undo: () => Promise<void>;
  /** Show a file's change side by side in the main area. */
  readonly compare: (change: Change) => void;
  /** Ask whether a run may be deleted, and delete it. */
  readonly remove: (run: string) => Promise<boolean>;
  /** Return the editor's language for a path. */
  readonly language: (path: string) => Promise<Extension | null>;
}

export const HostContext = createContext<Host | null>(null);

/** Return the host of the sidebar that a component is in. */
export function useHost(): Host {
  const host = useContext(HostContext);
  if (!host) {
    throw new Error('This component belongs into the sidebar.');
  }
  return host;
}
