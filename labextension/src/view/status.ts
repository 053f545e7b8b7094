/** Where a run stands, in one line: for the sidebar, and shorter for the status bar. */
import type { RunState } from '../events';
import * as figures from './figures';
import { rail } from './rail';
import {
  type ModelLine,
  type RunView,
  answered,
  atWork,
  elapsed,
  seconds,
  stepOf
} from './view';
import type { Words } from './words';

/** What is awaited, and how far it is (0 to 1), if that can be said. */
export interface Status {
  text: string;
  fraction: number | null;
}

/** Say in one line where the run stands. */
export function status(view: RunView, now: number, trans: Words): Status {
  const total = figures.duration(seconds(view, now));
  if (atWork(view.state)) {
    return work(view, now, total, trans);
  }
  return { text: `${ending(view, trans)} · ${total}`, fraction: null };
}

/** Say how a run ended. */
export function ending(view: RunView, trans: Words): string {
  if (answered(view)) {
    return trans.__('Answered');
  }
  const ends: Partial<Record<RunState, string>> = {
    review: trans.__('Waits for your review'),
    accepted: trans.__('Accepted'),
    rejected: trans.__('Rejected, nothing was written'),
    undone: trans.__('Undone, the files are as they were'),
    stopped: trans.__('Stopped, nothing was written'),
    failed: trans.__('Failed, nothing was written')
  };
  return (view.state && ends[view.state]) ?? '';
}

/** Name a state in a word. */
export function stateWord(state: RunState, trans: Words): string {
  const words: Record<RunState, string> = {
    queued: trans.__('queued'),
    running: trans.__('at work'),
    waiting: trans.__('waits for you'),
    review: trans.__('waits for you'),
    accepted: trans.__('accepted'),
    rejected: trans.__('rejected'),
    undone: trans.__('undone'),
    stopped: trans.__('stopped'),
    failed: trans.__('failed')
  };
  return words[state] ?? state;
}

function work(view: RunView, now: number, total: string, trans: Words): Status {
  const { model } = view;
  if (view.state === 'waiting') {
    const awaited = view.question
      ? trans.__('Waits for your answer')
      : trans.__('Waits for you to look at the task');
    return { text: `${awaited} · ${total}`, fraction: null };
  }
  if (model.phase) {
    const percent = `${(model.fraction * 100).toFixed(0)} %`;
    return {
      text: `${loading(model, trans)} · ${percent} · ${total}`,
      fraction: model.fraction
    };
  }
  const coder = stepOf(view, 'coder');
  if (coder.state === 'active' && view.budget) {
    const spent = elapsed(coder, now) ?? 0;
    const limit = figures.duration(view.budget).replace('.0 s', ' s');
    return {
      text: trans.__('%1 of ≤ %2', figures.duration(spent), limit),
      fraction: Math.min(1, spent / view.budget)
    };
  }
  const active = rail(view, now, trans).find(line => line.state === 'active');
  if (active) {
    return {
      text: `${trans.__('%1 is at work', active.name)} · ${total}`,
      fraction: null
    };
  }
  return { text: `${between(view, trans)} · ${total}`, fraction: null };
}

function loading(model: ModelLine, trans: Words): string {
  switch (model.phase) {
    case 'download':
      return trans.__('downloading %1', model.name);
    case 'verify':
      return trans.__('verifying %1', model.name);
    case 'plan':
      return trans.__('planning memory for %1', model.name);
    default:
      return trans.__('loading %1', model.name);
  }
}

/** Say what is awaited while no step is at work. */
function between(view: RunView, trans: Words): string {
  if (view.state !== 'running') {
    return view.reason
      ? trans.__('queued: %1', view.reason)
      : trans.__('queued');
  }
  if (view.indexed === null) {
    return trans.__('reading the workspace');
  }
  if (!view.model.nCtx) {
    return trans.__('preparing the model');
  }
  return stepOf(view, 'coder').state === 'done'
    ? trans.__('preparing the proposal')
    : trans.__('preparing the staged copy');
}

/** Return the model in a line: `qwen2.5-coder-1.5b · window 16k · 1.9 of 24 GB`. */
export function modelLine(model: ModelLine, trans: Words): string {
  const parts = [model.name];
  if (model.nCtx) {
    parts.push(trans.__('window %1', figures.window(model.nCtx)));
  }
  if (model.memory && model.available) {
    const used = figures.gigabytes(model.memory);
    parts.push(
      trans.__('%1 of %2\u00a0GB', used, figures.gigabytes(model.available))
    );
  }
  return parts.filter(Boolean).join(' · ');
}

/** Return what the status bar says while something runs: `Loom ◐ Coder 27 tok/s`. */
export function shortStatus(view: RunView, now: number, trans: Words): string {
  if (!atWork(view.state)) {
    return `Loom · ${view.state ? stateWord(view.state, trans) : ''}`;
  }
  const active = rail(view, now, trans).find(line => line.state === 'active');
  if (!active) {
    return `Loom ◐ ${status(view, now, trans).text}`;
  }
  const pace = /\d+ tok\/s/.exec(active.aside)?.[0] ?? active.time;
  return `Loom ◐ ${active.name} ${pace}`;
}
