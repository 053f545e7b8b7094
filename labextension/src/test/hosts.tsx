/** A host for components without JupyterLab: it keeps what it is asked. */
import { Signal } from '@lumino/signaling';
import { render } from '@testing-library/react';
import type { ReactNode } from 'react';
import { vi } from 'vitest';

import type { RunSummary, TrustState } from '../api';
import type { Action, RunDocument } from '../document';
import { Drafts } from '../drafts';
import { type Host, HostContext } from '../host';
import type { LoomModel } from '../model';
import { english } from './english';

export function summary(id: string, task: string): RunSummary {
  return {
    id,
    task,
    title: task,
    word: { id: 'x', text: 'rejected', values: {}, plural: null, count: null },
    names: ['a.py'],
    workspace: '.',
    created: 1_700_000_000,
    touched: 1_700_000_000,
    state: 'rejected',
    reason: '',
    alive: true,
    files: ['a.py'],
    passed: true,
    check: null,
    model: null
  };
}

/** Return a host whose model shows this document. */
export function fakeHost(
  document: RunDocument | null,
  runs: RunSummary[] = []
) {
  const owner = {};
  const model = {
    changed: new Signal<object, void>(owner),
    document,
    changes: document?.changes ?? [],
    offer: (action: Action) =>
      document?.actions.find(offer => offer.action === action) ?? null,
    runs,
    summary: runs[0] ?? null,
    shown: runs[0]?.id ?? document?.run ?? null,
    ready: true,
    chosen: false,
    browsing: false,
    trouble: '',
    refusal: '',
    asking: null,
    trust: null as TrustState | null,
    grant: vi.fn(() => Promise.resolve()),
    left: new Set<string>(),
    ask: vi.fn(() => Promise.resolve(true)),
    leave: vi.fn(),
    choose: vi.fn(),
    browse: vi.fn(),
    search: vi.fn(() => Promise.resolve(runs)),
    ledger: vi.fn<LoomModel['ledger']>(() =>
      Promise.reject(new Error('no ledger'))
    ),
    whyNot: vi.fn<LoomModel['whyNot']>(() => Promise.resolve([]))
  };
  const host = {
    trans: english,
    model,
    drafts: new Drafts(),
    open: vi.fn(),
    run: vi.fn(() => Promise.resolve()),
    fix: vi.fn(() => Promise.resolve()),
    replay: vi.fn(() => Promise.resolve()),
    pick: vi.fn(() => Promise.resolve(['b.py'])),
    accept: vi.fn(() => Promise.resolve()),
    undo: vi.fn(() => Promise.resolve()),
    compare: vi.fn(),
    remove: vi.fn(() => Promise.resolve(true)),
    language: vi.fn(() => Promise.resolve(null))
  };
  return host;
}

/** Render a component in a host. */
export function within(host: ReturnType<typeof fakeHost>, part: ReactNode) {
  return render(
    <HostContext.Provider value={host as unknown as Host}>
      {part}
    </HostContext.Provider>
  );
}
