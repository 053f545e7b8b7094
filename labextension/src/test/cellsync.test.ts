import { expect, it } from 'vitest';

import { replacement, steps } from '../cellsync';

const book = (cells: Record<string, string>) => new Map(Object.entries(cells));
const disk = (cells: Record<string, string>) =>
  Object.entries(cells).map(([id, source]) => ({ id, source }));
const none = { rewritten: [], added: [], removed: [], conflicts: [] };

it('takes over what changed on disk and leaves unsaved edits of other cells', () => {
  const base = book({ a: '1', b: '1' });
  const live = book({ a: '1', b: 'mine', c: 'mine too' });
  expect(steps(base, disk({ a: '2', b: '1' }), live)).toEqual({
    ...none,
    rewritten: [{ id: 'a', source: '2' }]
  });
});

it('never writes over an unsaved edit of the same cell', () => {
  const base = book({ a: '1' });
  expect(steps(base, disk({ a: '2' }), book({ a: 'mine' }))).toEqual({
    ...none,
    conflicts: ['a']
  });
  expect(steps(base, disk({ a: '2' }), book({}))?.conflicts).toEqual(['a']);
  expect(steps(base, disk({ a: '2' }), book({ a: '2' }))).toEqual(none);
});

it('adds cells where they stand on disk, and takes cells away', () => {
  const base = book({ a: '1', b: '1', c: '1' });
  const found = steps(base, disk({ n: '0', a: '1', m: '9', c: '1' }), base);
  expect(found).toEqual({
    ...none,
    added: [
      { after: null, cell: { id: 'n', source: '0' } },
      { after: 'a', cell: { id: 'm', source: '9' } }
    ],
    removed: ['b']
  });
  const edited = book({ a: '1', b: 'mine', c: '1' });
  expect(steps(base, disk({ a: '1', c: '1' }), edited)?.conflicts).toEqual([
    'b'
  ]);
});

it('reads lists of lines, and says where cells have no ids', () => {
  const base = book({ a: 'x\ny' });
  expect(steps(base, [{ id: 'a', source: ['x\n', 'y'] }], base)).toEqual(none);
  expect(steps(base, [{ source: 'x' }], base)).toBeNull();
});

it('replaces no more of a text than has to be', () => {
  const texts = ['', 'abc', 'abcabc', 'xabc', 'abcx', 'aXc', 'aa', 'aaa'];
  for (const text of texts) {
    for (const next of texts) {
      const { start, end, text: put } = replacement(text, next);
      expect(text.slice(0, start) + put + text.slice(end)).toBe(next);
    }
  }
  expect(replacement('if a < b:', 'if a <= b:')).toEqual({
    start: 6,
    end: 6,
    text: '='
  });
});
