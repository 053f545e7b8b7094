/** What outlives a reload of the page: the draft, and the run that was chosen. */
import type { IStateDB } from '@jupyterlab/statedb';
import { Debouncer } from '@lumino/polling';

import type { RunSummary } from './api';
import type { Drafts } from './drafts';
import type { LoomModel } from './model';
import type { Draft } from './task';

const KEY = 'loom-jupyter:sidebar';

interface Remembered {
  draft: Draft;
  chosen: RunSummary | null;
}

/** Restore what the page knew before, and keep it from now on. */
export async function remember(
  state: IStateDB,
  model: LoomModel,
  drafts: Drafts
): Promise<void> {
  const known = (await state.fetch(KEY)) as Partial<Remembered> | undefined;
  if (known?.draft) {
    drafts.set(known.draft);
  }
  if (known?.chosen) {
    model.choose(known.chosen);
  }
  let saved = '';
  const saver = new Debouncer(() => {
    const chosen = model.chosen ? model.summary : null;
    // A copy that is plain JSON, and only if something is new.
    const text = JSON.stringify({ draft: drafts.value, chosen });
    if (text === saved) {
      return undefined;
    }
    saved = text;
    return state.save(KEY, JSON.parse(text) as Parameters<IStateDB['save']>[1]);
  }, 500);
  const save = () => void saver.invoke();
  drafts.changed.connect(save);
  model.changed.connect(save);
}
