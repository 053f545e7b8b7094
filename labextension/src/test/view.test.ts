import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { Messages } from '../follow';
import { BLANK, cell, fix, quoted, relative } from '../task';
import { fits, parts, side } from '../view/diff';
import { shares, why } from '../view/families';
import * as figures from '../view/figures';
import { outcome } from '../view/outcome';
import { block, exact, line, path } from '../view/plain';
import { rail } from '../view/rail';
import { viewOf } from '../view/reduce';
import { named, whyNot } from '../view/whynot';
import { shortStatus, status } from '../view/status';
import { events } from './recorded';
import { english } from './words';

describe('a recorded run', () => {
  const all = events('solved');
  const done = viewOf(all);

  it('has a rail of five lines', () => {
    const lines = rail(done, done.lastTs, english);
    expect(lines.map(({ name }) => name)).toEqual([
      'Architect',
      'Explorer',
      'Coder',
      'Check',
      'Review'
    ]);
    expect(lines.every(({ state }) => state === 'done')).toBe(true);
    expect(lines[3]?.text).toMatch(/passed/);
    expect(lines[3]?.aside).toMatch(/^before: /);
  });

  it('says in one line where it stands', () => {
    expect(status(done, 0, english).text).toMatch(/^Accepted · \d/);
    const coding = all.findIndex(
      event => event.type === 'candidate' && event.number === 1
    );
    const view = viewOf(all.slice(0, coding));
    expect(status(view, view.lastTs, english).text).toMatch(/ of ≤ \d+ s$/);
    expect(shortStatus(view, view.lastTs, english)).toMatch(/^Loom ◐ Coder/);
  });

  it('splits the bars of its evidence by family', () => {
    const [first] = done.files;
    if (!first) {
      throw new Error('no files');
    }
    const widths = shares(first, first.score).map(share => share.width);
    expect(widths.reduce((sum, width) => sum + width)).toBeCloseTo(1);
    expect(why(first)).not.toBe('');
  });

  it('has a diff that can be read back', () => {
    const [part] = parts(done.proposal?.files[0]?.diff ?? '');
    if (!part) {
      throw new Error('no parts');
    }
    expect(side(part, '-')).toContain('if weight < 2:');
    expect(side(part, '+')).toContain('if weight <= 2:');
  });
});

it('says why a file does not stand higher', () => {
  const { files } = viewOf(events('solved'));
  const [best, next] = files;
  const told = whyNot(best ?? null, next ?? null, english);
  expect(told[0]).toMatch(/ is number 2, [\d.]+ points behind /);
  expect(told.length).toBeGreaterThan(1);
  expect(told.slice(1).every(said => said.startsWith('−'))).toBe(true);
  const first = best ?? null;
  expect(whyNot(first, first, english)[0]).toMatch(/first already/);
  expect(whyNot(first, null, english)[0]).toMatch(/No file/);
  expect(whyNot(null, null, english)).toEqual([]);
  expect(named(files, best?.path.toUpperCase() ?? '')).toBe(best);
  expect(named(files, 'nowhere.py')).toBeNull();
  expect(named(files, ' ')).toBeNull();
});

it('says what was tried, what was best and what comes next', () => {
  const view = viewOf(events('unsolved'));
  const told = outcome(view, english);
  expect(told.failed).toBe(true);
  expect(told.tried).toMatch(/^\d+ candidates tried: /);
  expect(told.remedy).not.toBe('');
});

describe('a diff', () => {
  it('may hold lines that look like headers', () => {
    const diff = [
      '--- a/x.sql',
      '+++ b/x.sql',
      '@@ -1,2 +1,2 @@',
      '--- a/comment',
      '+++ b/comment',
      ' select',
      '@@ -9 +9 @@',
      '-a',
      '+b',
      ''
    ].join('\n');
    const found = parts(diff);
    expect(found.map(part => part.oldStart)).toEqual([1, 9]);
    expect(found[0] && side(found[0], '-')).toBe('-- a/comment\nselect');
  });

  it('says whether a text still is what it was made of', () => {
    const diff = '--- In [1]\n+++ In [1]\n@@ -2,2 +2,2 @@\n-b\n+B\n c\n';
    const whole = parts(diff);
    expect(fits('a\nb\nc', whole)).toBe(true);
    expect(fits('a\nb\nc\nd', whole)).toBe(true);
    expect(fits('new\na\nb\nc', whole)).toBe(false);
    expect(fits('a\nmine\nc', whole)).toBe(false);
  });

  it('names the cells of a notebook', () => {
    const head = (id: string) => [
      `--- a/n.ipynb (cell ${id})`,
      `+++ b/n.ipynb (cell ${id})`
    ];
    const change = ['@@ -1 +1 @@', '-1', '\\ No newline at end of file', '+2'];
    const diff = [...head('a1'), ...change, ...head('b2'), ...change].join(
      '\n'
    );
    expect(parts(diff).map(part => part.cell)).toEqual(['a1', 'b2']);
  });
});

describe('text of models and files', () => {
  it('hides nothing', () => {
    expect(line('a\u202eb\u200bc')).toBe('a⟨U+202E⟩b⟨U+200B⟩c');
    expect(block('\x1b[31mred\x1b[0m\x07')).toBe('red⟨U+0007⟩');
  });

  it('has no endless lines', () => {
    expect(block('x'.repeat(1_000_000)).length).toBeLessThan(500);
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

describe('a stream of events', () => {
  it('may be cut anywhere', () => {
    const text =
      'id: 1\ndata: {"seq":1,"type":"notice","text":"é"}\n\n: idle\n\n';
    const messages = new Messages();
    const found = Array.from(text).flatMap(letter => messages.push(letter));
    expect(found.map(event => event.seq)).toEqual([1]);
    expect(messages.push('event: deleted\ndata: {}\n\n')).toEqual([]);
    expect(messages.deleted).toBe(true);
  });
});

it('writes figures as the panel does', () => {
  expect(figures.duration(1.24)).toBe('1.2 s');
  expect(figures.duration(720)).toBe('12 min');
  expect(figures.tokens(1140, 27.2)).toBe('1,140 tok · 27/s');
  expect(figures.points(-2.5)).toBe('−2.5');
});

describe('hidden characters', () => {
  const samples = JSON.parse(
    readFileSync(resolve('../tests/fixtures/hidden.json'), 'utf8')
  ) as Record<string, string>;

  it.each(Object.entries(samples))('%j is shown as in Python', (text, said) => {
    expect(exact(text)).toBe(said);
  });

  it('are shown in the parts of a diff and in paths', () => {
    expect(block('a\u200bb\u001b[8mc', exact)).toBe('a⟨U+200B⟩b⟨U+001B⟩[8mc');
    expect(path('a\n\u202eb.py')).toBe('a⟨U+000A⟩⟨U+202E⟩b.py');
  });
});
