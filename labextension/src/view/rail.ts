/** The rail: Architect · Explorer · Coder · Check · Review, a line each. */
import type { Node } from '../events';
import * as figures from './figures';
import { line as plain } from './plain';
import {
  type RunView,
  type Step,
  type StepState,
  answered,
  elapsed,
  rate
} from './view';
import type { Words } from './words';

/** One line of the rail; `aside` says more. */
export interface RailLine {
  node: Node;
  state: StepState;
  mark: string;
  name: string;
  /** How the state is read aloud. */
  spoken: string;
  time: string;
  text: string;
  aside: string;
}

const MARKS: Record<StepState, string> = {
  waiting: '○',
  active: '◐',
  done: '●',
  failed: '✕',
  stopped: '■',
  skipped: '–'
};

/** Return the five lines. */
export function rail(view: RunView, now: number, trans: Words): RailLine[] {
  const names: Record<Node, string> = {
    architect: trans.__('Architect'),
    explorer: trans.__('Explorer'),
    coder: trans.__('Coder'),
    check: trans.__('Check'),
    review: trans.__('Review')
  };
  const spoken: Record<StepState, string> = {
    waiting: trans.__('waiting'),
    active: trans.__('at work'),
    done: trans.__('done'),
    failed: trans.__('failed'),
    stopped: trans.__('stopped'),
    skipped: trans.__('left out')
  };
  return view.steps.map(step => {
    const took = elapsed(step, now);
    const [text, aside] = TEXTS[step.node](view, step, trans);
    return {
      node: step.node,
      state: step.state,
      mark: MARKS[step.state],
      name: names[step.node],
      spoken: spoken[step.state],
      time:
        took === null || step.node === 'review' ? '' : figures.duration(took),
      text: plain(text),
      aside: plain(aside)
    };
  });
}

type Texts = (view: RunView, step: Step, trans: Words) => [string, string];

const TEXTS: Record<Node, Texts> = {
  architect: (view, step, trans) =>
    view.state === 'waiting' && view.question
      ? [trans.__('asks you: %1', view.question), '']
      : view.plan
        ? [`${view.plan.intent}: ${view.plan.goal}`, '']
        : [said(step, trans.__('reading the task')), speed(step)],
  explorer: (view, step, trans) =>
    view.map
      ? [chosen(view, trans), '']
      : [said(step, trans.__('choosing places')), speed(step)],
  coder,
  check,
  review
};

function chosen(view: RunView, trans: Words): string {
  const targets = view.map?.targets ?? [];
  const places = [...targets, ...(view.map?.excerpts ?? [])];
  const files = new Set(places.map(place => place.split(/ · | \(/)[0]));
  const of = view.indexed
    ? trans.__('%1 of %2 files', files.size, figures.count(view.indexed))
    : trans._n('%1 file', '%1 files', files.size);
  const aims = trans._n('%1 target', '%1 targets', targets.length);
  return `${of} · ${aims} · ${figures.count(view.map?.tokens ?? 0)} tok`;
}

function coder(view: RunView, step: Step, trans: Words): [string, string] {
  const tried = view.candidates.at(-1);
  if (step.state !== 'active') {
    return [
      step.summary,
      step.tokens ? figures.tokens(step.tokens, rate(step)) : ''
    ];
  }
  const number = tried ? trans.__('candidate %1', tried.number) : '';
  const writing = step.text
    ? trans.__('writing')
    : trans.__('weighing the code as it stands');
  return [
    tried?.place ?? (step.note || writing),
    [number, speed(step)].filter(Boolean).join(' · ')
  ];
}

function check(view: RunView, step: Step, trans: Words): [string, string] {
  if (step.state === 'waiting' || step.state === 'skipped') {
    const none = view.started === null ? '' : trans.__('no check');
    return [view.check ?? view.before?.command ?? none, before(view, trans)];
  }
  if (step.state === 'active') {
    const doing = [view.check, step.note].filter(Boolean).join(' · ');
    return [doing || trans.__('running'), ''];
  }
  const verdict =
    step.state === 'done' ? trans.__('passed') : trans.__('failed');
  const told = step.summary || verdict;
  const complete = told.toLowerCase().includes(verdict);
  return [complete ? told : `${verdict}: ${told}`, before(view, trans)];
}

function before(view: RunView, trans: Words): string {
  if (!view.before || view.before.passed === null) {
    return '';
  }
  const verdict = view.before.passed ? trans.__('passed') : trans.__('failed');
  return trans.__('before: %1', view.before.summary || verdict);
}

function review(view: RunView, step: Step, trans: Words): [string, string] {
  const files = view.proposal?.files ?? [];
  if (!files.length) {
    return [answered(view) ? trans.__('answered') : step.summary, ''];
  }
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const removed = files.reduce((sum, file) => sum + file.removed, 0);
  const number = trans._n('%1 file', '%1 files', files.length);
  const size = `${number}, +${added} −${removed}`;
  return [[step.summary, size].filter(Boolean).join(' · '), ''];
}

function said(step: Step, doing: string): string {
  return step.state === 'active' ? step.note || doing : step.summary;
}

function speed(step: Step): string {
  const found = step.state === 'active' ? rate(step) : null;
  return found ? `${found.toFixed(0)} tok/s` : '';
}
