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
import type { LedgerPage } from '../ledger';
import { fakeHost, summary, within } from './hosts';
import { document } from './recorded';

// CodeMirror needs a browser; what it shows is tested in one.
vi.mock('../merge', () => ({ mount: () => () => undefined }));
afterEach(cleanup);

const SOLVED = document('solved');
const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('the run', () => {
  it('is five steps with their states in words', () => {
    within(fakeHost(SOLVED), <RunSection />);
    const steps = screen.getAllByRole('listitem').slice(0, 5);
    expect(
      steps.map(step => step.textContent?.match(/^\W*(\w+)/)?.[1])
    ).toEqual(['Architect', 'Explorer', 'Coder', 'Check', 'Review']);
    expect(steps.every(step => step.textContent?.includes('done'))).toBe(true);
  });

  it('can be stopped while it works', () => {
    const host = fakeHost(document('coding'));
    within(host, <Footer />);
    fireEvent.click(button('Stop'));
    expect(host.model.ask).toHaveBeenCalledWith('stop');
  });

  it('is accepted, rejected, undone', () => {
    const host = fakeHost(document('review'));
    within(host, <Footer />);
    fireEvent.click(button('Accept'));
    expect(host.accept).toHaveBeenCalledWith(
      expect.objectContaining({ whole: true }),
      false
    );
    fireEvent.click(button('Reject'));
    expect(host.model.ask).toHaveBeenCalledWith('reject');
    cleanup();
    const done = fakeHost(document('accepted'));
    within(done, <Footer />);
    fireEvent.click(button('Undo'));
    expect(done.undo).toHaveBeenCalled();
  });

  it('is accepted merged only where the changes do not touch', () => {
    const host = fakeHost(document('mergeable'));
    within(host, <Footer />);
    fireEvent.click(button('Accept merged'));
    expect(host.accept).toHaveBeenCalledWith(expect.anything(), true);
    cleanup();
    within(fakeHost(document('refused')), <Footer />);
    expect(button('Accept')).toBeTruthy();
  });

  it('says in one line how far it is', () => {
    within(fakeHost(SOLVED), <Footer />);
    expect(screen.getByRole('status').textContent).toMatch(/^Accepted · \d/);
    cleanup();
    within(fakeHost(document('coding')), <Footer />);
    expect(screen.getByRole('status').textContent).toMatch(/ of ≤ \d+ s$/);
  });

  it('says what was tried, what was best and what comes next', () => {
    const { container } = within(
      fakeHost(document('unsolved')),
      <RunSection />
    );
    const [tried, , next] = container.querySelectorAll('.jp-Loom-error > p');
    expect(tried?.textContent).toMatch(/^\d+ candidates tried: /);
    expect(next?.textContent).toContain('run again');
    expect(next?.querySelector('code')?.textContent).toBe('--tag');
  });
});

it('shows the versions of a file below the sentence that refuses', () => {
  const { container } = within(fakeHost(document('refused')), <RunSection />);
  expect(screen.getByText('a.py changed.')).toBeTruthy();
  expect(screen.getByText(/^<<<<<<< proposed/).tagName).toBe('PRE');
  expect(container.querySelector('img')).toBeNull();
});

describe('a run that waits for the user', () => {
  it('has its question answered, or guesses', () => {
    const text = 'Which <b>price</b>?';
    const host = fakeHost(document('question'));
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
    const host = fakeHost(document('plan'));
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
  const { evidence, run } = SOLVED;
  if (!evidence) {
    throw new Error('no evidence');
  }
  const { files } = evidence;
  const part = <Evidence run={run} evidence={evidence} />;
  const page = (names: string[], matching: number): LedgerPage => ({
    total: 99,
    matching,
    families: ['term', 'git'],
    files: names.map((path, n) => ({
      ...(files[0] as (typeof files)[0]),
      rank: n + 1,
      path,
      name: path
    }))
  });
  const shown = () =>
    screen
      .getAllByRole('button', { name: /^Evidence of / })
      .map(found => found.getAttribute('aria-label')?.slice(12));

  it('shows the first files at once, then the whole ledger', async () => {
    const host = fakeHost(SOLVED);
    const names = Array.from({ length: 8 }, (_, n) => `f${n}.py`);
    host.model.ledger = vi.fn((_run, _asked, _families, offset) =>
      Promise.resolve(offset ? page(['last.py'], 9) : page(names, 9))
    );
    within(host, part);
    expect(shown()[0]).toBe(files[0]?.path);
    await waitFor(() => expect(shown()).toEqual(names.slice(0, 6)));
    fireEvent.click(button('Show 3 more'));
    fireEvent.click(button('Show more (1 left)'));
    await waitFor(() => expect(shown()).toEqual([...names, 'last.py']));
  });

  it('asks for what was filtered and sorted', async () => {
    const host = fakeHost(SOLVED);
    const ask = (host.model.ledger = vi.fn(() =>
      Promise.resolve(page(['a.py'], 1))
    ));
    within(host, part);
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'price' }
    });
    fireEvent.change(screen.getByRole('combobox', { name: 'Sort by' }), {
      target: { value: 'path' }
    });
    await waitFor(() =>
      expect(ask).toHaveBeenCalledWith(
        run,
        expect.objectContaining({ words: 'price', order: 'path' }),
        ['term', 'git'],
        0,
        50
      )
    );
  });

  it('is sorted and filtered without the server, too', () => {
    const host = fakeHost(SOLVED);
    within(host, part);
    fireEvent.change(screen.getByRole('combobox', { name: 'Sort by' }), {
      target: { value: 'path' }
    });
    expect(shown()).toEqual([...shown()].sort());
    fireEvent.change(screen.getByRole('searchbox'), {
      target: { value: 'no such words' }
    });
    expect(screen.getByText('No file matches the filter.')).toBeTruthy();
  });

  it('says why not, also of a file far below', async () => {
    const host = fakeHost(SOLVED);
    host.model.whyNot = vi.fn((_run, path) =>
      Promise.resolve([`far/${path} is number 70`, '1.0 term'])
    );
    within(host, part);
    fireEvent.change(screen.getByLabelText('Why not this file?'), {
      target: { value: 'away.py' }
    });
    await waitFor(() =>
      expect(screen.getByText('far/away.py is number 70')).toBeTruthy()
    );
  });

  it('leads to the line', () => {
    const host = fakeHost(SOLVED);
    within(host, part);
    fireEvent.click(button(files[0]?.path ?? ''));
    expect(host.open).toHaveBeenCalledWith(files[0]?.path, expect.anything());
  });
});

describe('the changes', () => {
  it('are left out hunk by hunk', () => {
    const host = fakeHost(document('hunks'));
    within(host, <Changes document={document('hunks')} />);
    fireEvent.click(screen.getByRole('checkbox', { name: 'line 3' }));
    expect(host.model.leave).toHaveBeenCalledWith(['1:a.py'], true);
    fireEvent.click(button('Side by side'));
    expect(host.compare).toHaveBeenCalled();
  });
});

describe('the history', () => {
  const runs = [summary('r2', 'newer'), summary('r1', 'the zebra')];

  it('reopens, replays and deletes', async () => {
    const host = fakeHost(null, runs);
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
    const host = fakeHost(null, runs);
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
    const host = fakeHost(null);
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
    const host = fakeHost(null);
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
    const host = fakeHost(null);
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
    const host = fakeHost(null);
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
      const host = fakeHost(null);
      host.model.trust = other;
      within(host, <Sidebar />);
      expect(screen.queryByText(/trusted/)).toBeNull();
      cleanup();
    }
  });

  it('are a chip at the head of the run, once', () => {
    within(fakeHost(document('untrusted')), <RunSection />);
    const chips = screen.getByRole('list', { name: 'Notes on this run' });
    expect(chips.children).toHaveLength(1);
    expect(chips.textContent).toBe('not trusted%loom trust');
  });
});

it('teaches where there is nothing yet', () => {
  within(fakeHost(null), <Sidebar />);
  expect(screen.getByText(/^No run yet/)).toBeTruthy();
  expect(screen.getByText(/^What Loom proposes/)).toBeTruthy();
});
