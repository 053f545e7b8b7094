// @vitest-environment jsdom
import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { Changes } from '../components/Changes';
import { Evidence } from '../components/Evidence';
import { Footer } from '../components/Footer';
import { History } from '../components/History';
import { RunSection } from '../components/RunSection';
import { Sidebar } from '../components/Sidebar';
import { TaskBox } from '../components/TaskBox';
import type { LoomEvent } from '../events';
import type { LedgerPage } from '../view/evidence';
import { fakeHost, summary, within } from './hosts';
import { events } from './recorded';

// CodeMirror needs a browser; what it shows is tested in one.
vi.mock('../merge', () => ({ mount: () => () => undefined }));
afterEach(cleanup);

const ALL = events('solved');
const review = ALL.findIndex(
  event => event.type === 'state' && event.state === 'review'
);
const accepted = ALL.findIndex(
  event => event.type === 'state' && event.state === 'accepted'
);
/** The recorded run as it stands while it waits for its review. */
const WAITING: LoomEvent[] =
  review >= 0
    ? ALL.slice(0, review + 1)
    : [
        ...ALL.slice(0, accepted),
        { ...(ALL[accepted] as LoomEvent), state: 'review' } as LoomEvent
      ];
const refused = (mergeable: boolean): LoomEvent => ({
  v: 1,
  seq: 1_000_000,
  ts: 1,
  run: 'r',
  type: 'control',
  id: 'c',
  action: 'accept',
  ok: false,
  reason: 'tariff.py changed',
  mergeable
});
const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('the run', () => {
  it('is five steps with their states in words', () => {
    within(fakeHost(ALL), <RunSection />);
    const steps = screen.getAllByRole('listitem').slice(0, 5);
    expect(
      steps.map(step => step.textContent?.match(/^\W*(\w+)/)?.[1])
    ).toEqual(['Architect', 'Explorer', 'Coder', 'Check', 'Review']);
    expect(steps.every(step => step.textContent?.includes('done'))).toBe(true);
  });

  it('can be stopped while it works', () => {
    const host = fakeHost(ALL.slice(0, 20));
    within(host, <Footer />);
    fireEvent.click(button('Stop'));
    expect(host.model.ask).toHaveBeenCalledWith('stop');
  });

  it('is accepted, rejected, undone', () => {
    const host = fakeHost(WAITING);
    within(host, <Footer />);
    fireEvent.click(button('Accept'));
    expect(host.accept).toHaveBeenCalledWith(
      expect.objectContaining({ whole: true }),
      false
    );
    fireEvent.click(button('Reject'));
    expect(host.model.ask).toHaveBeenCalledWith('reject');
    cleanup();
    const done = fakeHost(ALL);
    within(done, <Footer />);
    fireEvent.click(button('Undo'));
    expect(done.undo).toHaveBeenCalled();
  });

  it('is accepted merged only where the changes do not touch', () => {
    const host = fakeHost([...WAITING, refused(true)]);
    within(host, <Footer />);
    fireEvent.click(button('Accept merged'));
    expect(host.accept).toHaveBeenCalledWith(expect.anything(), true);
    cleanup();
    within(fakeHost([...WAITING, refused(false)]), <Footer />);
    expect(button('Accept')).toBeTruthy();
  });
});

it('shows the versions of a file below the sentence that refuses', () => {
  const reason = 'a.py changed.\n\n<<<<<<< proposed\n<img src=x>\n>>>>>>> now';
  const event = { ...refused(false), reason } as LoomEvent;
  const { container } = within(fakeHost([...WAITING, event]), <RunSection />);
  expect(screen.getByText('a.py changed.')).toBeTruthy();
  expect(screen.getByText(/^<<<<<<< proposed/).tagName).toBe('PRE');
  expect(container.querySelector('img')).toBeNull();
});

describe('a run that waits for the user', () => {
  const stamp = { v: 1 as const, ts: 1, run: 'r' };
  const waiting: LoomEvent = {
    ...stamp,
    seq: 2,
    type: 'state',
    state: 'waiting',
    reason: ''
  };

  it('has its question answered, or guesses', () => {
    const text = 'Which <b>price</b>?';
    const host = fakeHost([
      { ...stamp, seq: 1, type: 'question', text },
      waiting
    ]);
    within(host, <RunSection />);
    fireEvent.change(screen.getByLabelText(text), {
      target: { value: 'both' }
    });
    fireEvent.click(button('Answer'));
    expect(host.model.ask).toHaveBeenCalledWith('answer', { text: 'both' });
    fireEvent.click(button('Guess'));
    expect(host.model.ask).toHaveBeenCalledWith('answer', { text: '' });
  });

  it('goes on with the task as it was changed', () => {
    const plan: LoomEvent = {
      ...stamp,
      seq: 1,
      type: 'task',
      intent: 'change',
      goal: '2 kg is small',
      acceptance: ['tariff(2) is 4.9'],
      terms: ['kg']
    };
    const host = fakeHost([plan, waiting]);
    within(host, <RunSection />);
    fireEvent.change(screen.getByLabelText('Goal'), {
      target: { value: ' 2 kg costs 4.9 ' }
    });
    fireEvent.change(screen.getByLabelText(/^Words/), {
      target: { value: 'kg, tariff,' }
    });
    fireEvent.click(button('Continue'));
    expect(host.model.ask).toHaveBeenCalledWith('approve', {
      task: {
        intent: 'change',
        goal: '2 kg costs 4.9',
        acceptance: ['tariff(2) is 4.9'],
        terms: ['kg', 'tariff']
      }
    });
  });
});

describe('the evidence', () => {
  const { files } = fakeHost(ALL).model.view;
  const page = (names: string[], matching: number): LedgerPage => ({
    total: 99,
    matching,
    families: ['term', 'git'],
    files: names.map((path, n) => ({ rank: n + 1, path, score: 9, rows: [] }))
  });
  const shown = () =>
    screen
      .getAllByRole('button', { name: /^Evidence of / })
      .map(found => found.getAttribute('aria-label')?.slice(12));

  it('shows the first files at once, then the whole ledger', async () => {
    const host = fakeHost(ALL);
    const names = Array.from({ length: 8 }, (_, n) => `f${n}.py`);
    host.model.ledger = vi.fn((_run, _asked, offset: number) =>
      Promise.resolve(offset ? page(['last.py'], 9) : page(names, 9))
    ) as never;
    within(host, <Evidence view={host.model.view} />);
    expect(shown()[0]).toBe(files[0]?.path);
    await waitFor(() => expect(shown()).toEqual(names.slice(0, 6)));
    fireEvent.click(button('Show 3 more'));
    fireEvent.click(button('Show more (1 left)'));
    await waitFor(() => expect(shown()).toEqual([...names, 'last.py']));
  });

  it('asks for what was filtered and sorted', async () => {
    const host = fakeHost(ALL);
    const ask = (host.model.ledger = vi.fn(() =>
      Promise.resolve(page(['a.py'], 1))
    ) as never) as ReturnType<typeof vi.fn>;
    within(host, <Evidence view={host.model.view} />);
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'price' }
    });
    fireEvent.change(screen.getByRole('combobox', { name: 'Sort by' }), {
      target: { value: 'path' }
    });
    await waitFor(() =>
      expect(ask).toHaveBeenCalledWith(
        host.model.view.run,
        expect.objectContaining({ words: 'price', order: 'path' }),
        0,
        50
      )
    );
  });

  it('is sorted and filtered without the server, too', () => {
    const host = fakeHost(ALL);
    within(host, <Evidence view={host.model.view} />);
    fireEvent.change(screen.getByRole('combobox', { name: 'Sort by' }), {
      target: { value: 'path' }
    });
    expect(shown()).toEqual([...shown()].sort());
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'no such words' }
    });
    expect(screen.getByText('No file fits the filter.')).toBeTruthy();
  });

  it('says why not, also of a file far below', async () => {
    const host = fakeHost(ALL);
    host.model.ledgerFile = vi.fn(() =>
      Promise.resolve({ rank: 70, path: 'far/away.py', score: 1, rows: [] })
    ) as never;
    within(host, <Evidence view={host.model.view} />);
    fireEvent.change(screen.getByLabelText('Why not this file?'), {
      target: { value: 'away.py' }
    });
    await waitFor(() =>
      expect(screen.getByText(/far\/away\.py is number 70/)).toBeTruthy()
    );
  });

  it('leads to the line', () => {
    const host = fakeHost(ALL);
    within(host, <Evidence view={host.model.view} />);
    fireEvent.click(button(files[0]?.path ?? ''));
    expect(host.open).toHaveBeenCalledWith(files[0]?.path, expect.anything());
  });
});

describe('the changes', () => {
  const diff = [
    '--- a/a.py',
    '+++ b/a.py',
    '@@ -1,3 +1,3 @@',
    '-a',
    '+b',
    ' same',
    '-c',
    '+d',
    ''
  ].join('\n');
  const proposal = {
    v: 1,
    seq: 1_000_000,
    ts: 1,
    run: 'r',
    type: 'proposal',
    summary: '',
    passed: true,
    answer: '',
    files: [{ path: 'a.py', added: 2, removed: 2, diff }]
  } as LoomEvent;

  it('are left out hunk by hunk', () => {
    const host = fakeHost([...WAITING, proposal]);
    within(host, <Changes view={host.model.view} />);
    fireEvent.click(screen.getByRole('checkbox', { name: 'line 3' }));
    expect(host.model.leave).toHaveBeenCalledWith(['1:a.py'], true);
    fireEvent.click(button('Side by side'));
    expect(host.compare).toHaveBeenCalled();
  });
});

describe('the history', () => {
  const runs = [summary('r2', 'newer'), summary('r1', 'the zebra')];

  it('reopens, replays and deletes', async () => {
    const host = fakeHost([], runs);
    within(host, <History />);
    fireEvent.click(button(/^the zebra/));
    expect(host.model.choose).toHaveBeenCalledWith(runs[1]);
    fireEvent.click(button('Replay the run: the zebra'));
    expect(host.replay).toHaveBeenCalledWith('r1');
    fireEvent.click(button('Delete the run: the zebra'));
    await waitFor(() => expect(screen.queryByText('the zebra')).toBeNull());
    expect(host.remove).toHaveBeenCalledWith('r1');
  });

  it('searches, and says what stands in the way of a replay', async () => {
    const host = fakeHost([], runs);
    host.replay = vi.fn(() => Promise.reject(new Error('no kernel')));
    within(host, <History />);
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'zebra' }
    });
    await waitFor(() =>
      expect(host.model.search).toHaveBeenCalledWith('zebra')
    );
    fireEvent.click(button('Replay the run: newer'));
    await waitFor(() =>
      expect(screen.getByRole('alert').textContent).toBe('no kernel')
    );
  });
});

describe('the task box', () => {
  it('runs with Ctrl+Enter and keeps the task where that fails', async () => {
    const host = fakeHost([]);
    within(host, <TaskBox />);
    const box = screen.getByLabelText('What should be different');
    fireEvent.keyDown(box, { key: 'Enter', ctrlKey: true });
    expect(host.run).not.toHaveBeenCalled(); // there is no task yet
    fireEvent.change(box, { target: { value: '2 kg' } });
    host.run.mockRejectedValueOnce(new Error('no kernel'));
    fireEvent.keyDown(box, { key: 'Enter', ctrlKey: true });
    await waitFor(() =>
      expect(screen.getByRole('alert').textContent).toBe('no kernel')
    );
    expect(host.drafts.value.task).toBe('2 kg');
    fireEvent.keyDown(box, { key: 'Enter', ctrlKey: true });
    await waitFor(() => expect(host.drafts.value.task).toBe(''));
  });

  it('tags what is picked', async () => {
    const host = fakeHost([]);
    within(host, <TaskBox />);
    fireEvent.click(button('Tag files'));
    fireEvent.click(
      await screen.findByRole('button', { name: 'Remove the tag b.py' })
    );
    expect(host.drafts.value.tags).toEqual([]);
  });
});

describe('settings that are not trusted', () => {
  const trust = {
    needed: [
      { key: 'check', value: '"pytest -q"', does: 'runs for every candidate' },
      { key: 'models.t', value: 'url = "http://e"', does: 'sent to <b>e</b>' }
    ],
    granted: false,
    changed: [] as string[],
    digest: 'd'
  };

  it('are named, shown, and trusted with a button', async () => {
    const host = fakeHost([]);
    host.model.trust = trust;
    const { container } = within(host, <Sidebar />);
    const bar = screen.getByRole('region', { name: /not trusted/ });
    expect(bar.textContent).toContain('not trusted');
    expect(bar.textContent).toContain('check, models.t');
    expect(screen.getByText('check = "pytest -q"')).toBeTruthy();
    expect(screen.getByText('sent to <b>e</b>')).toBeTruthy();
    expect(container.querySelector('details')?.open).toBe(false);
    fireEvent.click(screen.getByText('Show what they would do'));
    host.model.grant.mockRejectedValueOnce(new Error('they changed'));
    fireEvent.click(button('Trust these settings'));
    expect(host.model.grant).toHaveBeenCalledOnce();
    await waitFor(() =>
      expect(screen.getByRole('alert').textContent).toBe('they changed')
    );
  });

  it('are said to have changed', () => {
    const host = fakeHost([]);
    host.model.trust = { ...trust, changed: ['check'] };
    within(host, <Sidebar />);
    expect(screen.getByText(/changed since you trusted them/)).toBeTruthy();
  });

  it('are not mentioned where nothing waits', () => {
    for (const other of [
      null,
      { ...trust, granted: true },
      { ...trust, needed: [] }
    ]) {
      const host = fakeHost([]);
      host.model.trust = other;
      within(host, <Sidebar />);
      expect(screen.queryByText(/trusted/)).toBeNull();
      cleanup();
    }
  });

  it('are a chip at the head of the run, once', () => {
    const notice = {
      v: 1,
      ts: 1,
      run: 'r',
      type: 'notice',
      text: 'ignored',
      chip: 'not trusted',
      command: '%loom trust'
    } as const;
    const events = [
      { ...notice, seq: 1_000_001 },
      { ...notice, seq: 1_000_002 }
    ];
    within(fakeHost([...ALL, ...events]), <RunSection />);
    const chips = screen.getByRole('list', { name: 'Of this run' });
    expect(chips.children).toHaveLength(1);
    expect(chips.textContent).toBe('not trusted%loom trust');
  });
});

it('teaches where there is nothing yet', () => {
  within(fakeHost([]), <Sidebar />);
  expect(screen.getByText(/^No run yet/)).toBeTruthy();
  expect(screen.getByText(/^What Loom proposes/)).toBeTruthy();
});
