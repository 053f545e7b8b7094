import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { types } from '../../types.mjs';
import { choice, key } from '../choice';
import { fits, side } from '../diff';
import { Messages, updated } from '../follow';
import { firstPage, shownFamilies } from '../ledger';
import { readable, say, sayAll } from '../messages';
import { BLANK, cell, fix, quoted, relative } from '../task';
import { english } from './english';
import { document } from './recorded';

it('has the types of the schema that the package ships', async () => {
  const here = readFileSync(new URL('../document.ts', import.meta.url), 'utf8');
  expect(here).toBe(await types());
});

describe('a message', () => {
  const file = {
    id: 'evidence.files',
    text: '{count} file',
    plural: '{count} files',
    count: 2,
    values: { count: '2' }
  };
  const plain = { id: 'x', plural: null, count: null };

  it('is filled with its values, and with other messages', () => {
    expect(say(file, english)).toBe('2 files');
    expect(say({ ...file, count: 1, values: { count: '1' } }, english)).toBe(
      '1 file'
    );
    const values = { name: { ...plain, text: 'Coder', values: {} } };
    const running = { ...plain, text: '{name} is running', values };
    expect(say(running, english)).toBe('Coder is running');
    const braces = { ...plain, text: '{text}', values: { text: '{name}' } };
    expect(sayAll([braces, file], english)).toBe('{name} · 2 files');
  });

  it('is translated by its English template', () => {
    const asked: string[] = [];
    const german = {
      __: (text: string) => (asked.push(text), '{name} läuft'),
      _n: (one: string, many: string) => (
        asked.push(one, many),
        '{count} Dateien'
      )
    };
    const values = { name: 'Coder' };
    const running = { ...plain, text: '{name} is running', values };
    expect(say(running, german)).toBe('Coder läuft');
    expect(say(file, german)).toBe('2 Dateien');
    expect(asked).toEqual([
      '{name} is running',
      '{count} file',
      '{count} files'
    ]);
  });
});

describe('what is accepted', () => {
  const { changes } = document('hunks');

  it('is all there is, or files and hunks', () => {
    expect(choice(changes, new Set())).toEqual({
      paths: ['a.py'],
      hunks: {},
      whole: true
    });
    expect(choice(changes, new Set([key('a.py', 0)]))).toEqual({
      paths: ['a.py'],
      hunks: { 'a.py': [1] },
      whole: false
    });
    const none = new Set([key('a.py', 0), key('a.py', 1)]);
    expect(choice(changes, none).paths).toEqual([]);
  });
});

describe('a diff', () => {
  it('has two sides', () => {
    const part = document('solved').changes[0]?.parts[0];
    if (!part) {
      throw new Error('no parts');
    }
    expect(side(part, 'removed')).toContain('if weight < 2:');
    expect(side(part, 'added')).toContain('if weight <= 2:');
  });

  it('says whether a text still is what it was made of', () => {
    const expected = [{ start: 2, lines: ['b', 'c'] }];
    expect(fits('a\nb\nc', expected)).toBe(true);
    expect(fits('a\nb\nc\nd', expected)).toBe(true);
    expect(fits('new\na\nb\nc', expected)).toBe(false);
    expect(fits('a\nmine\nc', expected)).toBe(false);
  });
});

describe('a ledger', () => {
  const { evidence } = document('solved');
  if (!evidence) {
    throw new Error('no evidence');
  }

  it('has bars whose parts make a whole', () => {
    const parts = evidence.files[0]?.bar.map(share => share.part) ?? [];
    expect(parts.reduce((sum, part) => sum + part)).toBeCloseTo(1);
    expect(evidence.files[0]?.why).not.toBe('');
  });

  it('is filtered by families of rules', () => {
    const [first = ''] = evidence.families;
    const asked = {
      words: '',
      order: 'score' as const,
      hidden: new Set(evidence.families)
    };
    expect(firstPage(evidence, asked).files).toEqual([]);
    expect(shownFamilies(asked, evidence.families)).toBe('none');
    const some = { ...asked, hidden: new Set([first]) };
    expect(shownFamilies(some, evidence.families)).not.toContain(first);
    const all = { ...asked, hidden: new Set<string>() };
    expect(shownFamilies(all, evidence.families)).toBe('');
    expect(firstPage(evidence, all).matching).toBe(evidence.files.length);
  });
});

describe('text that does not come from the server', () => {
  it('has no colours and hides nothing', () => {
    expect(readable('a\u202eb\u200bc')).toBe('a�b�c');
    expect(readable('\x1b[31mred\x1b[0m\x07\n\ttail')).toBe('red�\n\ttail');
  });
});

describe('the cell of a task', () => {
  it('quotes what a line would take apart', () => {
    expect(quoted('pytest -q')).toBe('"pytest -q"');
    expect(quoted('a.py')).toBe('a.py');
    expect(quoted('say "hi" \\ $x')).toBe('"say \\"hi\\" \\\\ $x"');
    expect(quoted('')).toBe('""');
  });

  it('names tags as the notebook sees them', () => {
    expect(relative('work/src/a.py', 'work/notebooks')).toBe('../src/a.py');
    expect(relative('a.py', '')).toBe('a.py');
    expect(relative('a.py', 'b/c')).toBe('../../a.py');
  });

  it('is the line and the words', () => {
    const draft = {
      ...BLANK,
      task: ' 2 kg ',
      tags: ['a b.py'],
      check: 'pytest -q',
      apply: true
    };
    expect(cell(draft, '')).toBe(
      '%%loom --tag "a b.py" --check "pytest -q" --apply\n2 kg'
    );
    expect(cell({ ...draft, ask: true }, '')).not.toContain('--apply');
    expect(fix(draft)).toBe('%loom fix --check "pytest -q"');
    expect(fix(BLANK)).toBe('%loom fix');
  });
});

describe('a stream of news', () => {
  it('may be cut anywhere', () => {
    const text = 'data: {"answer":"é"}\n\n: idle\n\n';
    const messages = new Messages();
    const found = Array.from(text).flatMap(letter => messages.push(letter));
    expect(found).toEqual([{ answer: 'é' }]);
    expect(messages.push('event: deleted\ndata: {}\n\n')).toEqual([]);
    expect(messages.deleted).toBe(true);
  });

  it('replaces sections, and lets texts grow', () => {
    const whole = document('solved');
    const [text] = whole.texts;
    if (!text) {
      throw new Error('no text');
    }
    const start = updated(null, {
      ...whole,
      texts: [{ ...text, text: 'ab👩c', drop: 0, keep: 0 }]
    });
    const rest = { ...text, text: 'de', drop: 1, keep: 3 };
    const next = updated(start, { answer: 'yes', texts: [rest] });
    expect(next.texts[0]?.text).toBe('b👩de');
    expect(next.answer).toBe('yes');
    expect(next.steps).toBe(whole.steps);
    expect(updated(next, { answer: '' }).texts).toBe(next.texts);
  });
});
