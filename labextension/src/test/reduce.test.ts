import { describe, expect, it } from 'vitest';

import type { LoomEvent } from '../events';
import { reduce, viewOf } from '../view/reduce';
import { EMPTY, type RunView } from '../view/view';
import { NAMES, events, expected } from './recorded';

/** Spell names as Python does; what only this view holds goes. */
function asPython(view: RunView): unknown {
  const { lastSeq, ...rest } = view;
  expect(lastSeq).toBeGreaterThan(0);
  // The log was written before this field was; Python fills its default in.
  const proposal = rest.proposal && {
    cell: null,
    digests: {},
    ...rest.proposal
  };
  return snake({ ...rest, proposal });
}

function snake(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(snake);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  const entries = Object.entries(value).map(([key, item]) => [
    key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`),
    snake(item)
  ]);
  return Object.fromEntries(entries);
}

describe('the reducer', () => {
  for (const name of NAMES) {
    it(`sees the recorded run “${name}” as panel and terminal do`, () => {
      const all = events(name);
      for (const { events: count, view } of expected(name)) {
        expect(asPython(viewOf(all.slice(0, count)))).toEqual(view);
      }
    });

    it(`does not mind events of “${name}” that come twice`, () => {
      const all = events(name);
      const again = [...all.slice(0, 20), ...all.slice(5)];
      expect(viewOf(again)).toEqual(viewOf(all));
    });
  }

  it('keeps a question until it is answered', () => {
    const stamp = { v: 1 as const, ts: 5, run: 'r' };
    const asked = reduce(EMPTY, {
      ...stamp,
      seq: 1,
      type: 'question',
      text: 'Which?'
    });
    expect(asked.question).toBe('Which?');
    const answer = { ...stamp, seq: 2, type: 'answer' as const, text: 'a' };
    expect(reduce(asked, answer).question).toBe('');
  });

  it('leaves out types of later versions', () => {
    const event = { v: 1, seq: 1, ts: 5, run: 'r', type: 'weather' };
    const view = reduce(EMPTY, event as unknown as LoomEvent);
    expect(view.lastSeq).toBe(1);
    expect({ ...view, lastSeq: 0, run: '', started: null, lastTs: 0 }).toEqual(
      EMPTY
    );
  });

  it('keeps only the end of a text', () => {
    const text = (seq: number): LoomEvent => ({
      v: 1,
      seq,
      ts: seq,
      run: 'r',
      type: 'node_text',
      node: 'coder',
      text: 'x'.repeat(5_000)
    });
    expect(viewOf([1, 2, 3].map(text)).steps[2]?.text.length).toBe(8_000);
  });
});
