/** The reducer: a run's view after one more event. Pure, and like `reduce` in loom_jupyter/runs/view.py. */
import type {
  CheckFinished,
  CheckStarted,
  LoomEvent,
  Node,
  Noticed,
  ProposalMade,
  RunState,
  StateChanged
} from '../events';
import {
  type CheckLine,
  EMPTY,
  type RunView,
  type Step,
  type StepState,
  atWork,
  elapsed,
  stepOf
} from './view';

const TEXT_LIMIT = 8_000;
const NOTICE_LIMIT = 20;
const CANDIDATE_LIMIT = 100;

/** Return the view after all of `events`. */
export function viewOf(events: Iterable<LoomEvent>): RunView {
  let view = EMPTY;
  for (const event of events) {
    view = reduce(view, event);
  }
  return view;
}

/** Return `view` after one more event; one that was seen before, or of no known type, changes nothing. */
export function reduce(view: RunView, event: LoomEvent): RunView {
  if (event.seq <= view.lastSeq) {
    return view;
  }
  const next = {
    ...view,
    run: view.run || event.run,
    started:
      view.started === null ? event.ts : Math.min(view.started, event.ts),
    lastTs: Math.max(view.lastTs, event.ts),
    lastSeq: event.seq
  };
  return after(next, event);
}

function after(view: RunView, event: LoomEvent): RunView {
  switch (event.type) {
    case 'started':
      return {
        ...view,
        task: event.task,
        root: event.root,
        tagged: event.tagged,
        check: event.check ?? null,
        apply: event.apply,
        budget: event.budget,
        model: { ...view.model, name: view.model.name || event.model },
        steps: changed(view, 'check', { note: event.check ?? '' })
      };
    case 'state':
      return stateChanged(view, event);
    case 'indexed':
      return { ...view, indexed: event.files };
    case 'model_loading':
      return {
        ...view,
        model: {
          ...view.model,
          name: event.name,
          phase: event.phase,
          fraction: event.fraction
        }
      };
    case 'model_ready':
      return {
        ...view,
        model: {
          name: event.name,
          phase: '',
          fraction: 0,
          nCtx: event.n_ctx,
          device: event.device,
          memory: event.memory,
          available: event.available
        }
      };
    case 'node_started':
      return {
        ...view,
        model: { ...view.model, phase: '' },
        steps: changed(view, event.node, {
          state: 'active',
          note: event.note,
          started: event.ts,
          seconds: null,
          pieces: 0
        })
      };
    case 'node_text': {
      const step = stepOf(view, event.node);
      return withStep(view, event.node, {
        text: (step.text + event.text).slice(-TEXT_LIMIT),
        pieces: step.pieces + 1,
        streamSince: step.pieces ? step.streamSince : event.ts,
        lastTs: event.ts
      });
    }
    case 'usage': {
      const step = stepOf(view, event.node);
      return withStep(view, event.node, {
        tokens: step.tokens + event.completion_tokens,
        decodeSeconds: step.decodeSeconds + event.decode_seconds,
        pieces: 0
      });
    }
    case 'repaired': {
      const step = stepOf(view, event.node);
      return withStep(view, event.node, {
        repairs: kept(step.repairs, event.note, NOTICE_LIMIT)
      });
    }
    case 'node_finished':
      return withStep(view, event.node, {
        state: 'done',
        summary: event.summary,
        seconds: event.seconds,
        pieces: 0
      });
    case 'task':
      return { ...view, plan: event };
    case 'question':
      return { ...view, question: event.text };
    case 'answer':
      return { ...view, question: '' };
    case 'ledger':
      return { ...view, files: event.files, total: event.total };
    case 'map':
      return { ...view, map: event };
    case 'check_started':
      return checkStarted(view, event);
    case 'check_finished':
      return checkFinished(view, event);
    case 'candidate':
      return {
        ...view,
        candidates: kept(view.candidates, event, CANDIDATE_LIMIT)
      };
    case 'proposal':
      return proposed(view, event);
    case 'control': {
      const reason = event.reason || `${event.action} was refused.`;
      return event.ok
        ? view
        : {
            ...view,
            refused: kept(view.refused, reason, NOTICE_LIMIT),
            mergeable: event.mergeable ?? false
          };
    }
    case 'notice':
      return noticed(view, event);
    case 'error':
      return { ...view, error: event.text };
    default:
      return view; // a type of a later version
  }
}

const REVIEW: Partial<Record<RunState, [StepState, string]>> = {
  review: ['active', 'waits for you'],
  accepted: ['done', 'accepted'],
  rejected: ['done', 'rejected'],
  undone: ['done', 'undone']
};
const BROKEN_OFF: Partial<Record<RunState, StepState>> = {
  failed: 'failed',
  stopped: 'stopped'
};

function stateChanged(view: RunView, event: StateChanged): RunView {
  const { state, reason } = event;
  const next = { ...view, state, reason, mergeable: false };
  if (atWork(event.state)) {
    return { ...next, ended: null };
  }
  return {
    ...next,
    ended: view.ended ?? event.ts,
    steps: view.steps.map(step => settled(step, event)),
    model: { ...view.model, phase: '' }
  };
}

/** Return the line as it stays once nothing is at work. */
function settled(step: Step, event: StateChanged): Step {
  if (step.node === 'review') {
    const [state, summary] = REVIEW[event.state] ?? ['skipped' as const, ''];
    return { ...step, state, summary };
  }
  if (step.state === 'active') {
    return {
      ...step,
      state: BROKEN_OFF[event.state] ?? 'done',
      seconds: elapsed(step, event.ts),
      summary: step.summary || step.note
    };
  }
  return step.state === 'waiting' ? { ...step, state: 'skipped' } : step;
}

function noticed(view: RunView, event: Noticed): RunView {
  const notices = kept(view.notices, event.text, NOTICE_LIMIT);
  // Logs of an earlier version have neither chip nor command.
  const chip = { text: event.chip ?? '', command: event.command ?? '' };
  const known = view.chips.some(
    other => other.text === chip.text && other.command === chip.command
  );
  const chips = chip.text && !known ? [...view.chips, chip] : view.chips;
  return { ...view, notices, chips };
}

function checkStarted(seen: RunView, event: CheckStarted): RunView {
  const view = { ...seen, check: event.command }; // `auto` has found out what it means
  const line: CheckLine = {
    command: event.command,
    passed: null,
    summary: '',
    seconds: 0,
    output: ''
  };
  if (event.stage === 'candidate') {
    return { ...view, after: line };
  }
  const before = event.stage === 'before';
  const steps = changed(view, 'check', {
    state: 'active',
    note: before ? 'before the change' : '',
    started: event.ts,
    seconds: null
  });
  return before
    ? { ...view, before: line, steps }
    : { ...view, after: line, steps };
}

function checkFinished(view: RunView, event: CheckFinished): RunView {
  const { passed, summary, seconds, output } = event;
  const command = (view.before ?? view.after)?.command ?? view.check ?? '';
  const line: CheckLine = { command, passed, summary, seconds, output };
  if (event.stage === 'candidate') {
    return { ...view, after: line };
  }
  if (event.stage === 'before') {
    const steps = changed(view, 'check', {
      state: 'waiting',
      note: command,
      started: null
    });
    return { ...view, before: line, steps };
  }
  const state: StepState = passed ? 'done' : 'failed';
  return {
    ...view,
    after: line,
    steps: changed(view, 'check', { state, summary, seconds })
  };
}

function proposed(view: RunView, event: ProposalMade): RunView {
  const next = { ...view, proposal: event };
  const check = stepOf(view, 'check');
  const over = check.state === 'done' || check.state === 'failed';
  const passed = event.passed ?? null;
  if (passed === null || over) {
    return next;
  }
  // The search already tried the proposal, so it is not checked again.
  const tried = view.after;
  const line: CheckLine =
    tried?.passed === passed
      ? tried
      : {
          command: tried?.command ?? view.check ?? '',
          passed,
          summary: event.summary,
          seconds: 0,
          output: ''
        };
  const steps = changed(view, 'check', {
    state: passed ? 'done' : 'failed',
    summary: line.summary,
    seconds: line.seconds || null
  });
  return { ...next, after: line, steps };
}

function withStep(view: RunView, node: Node, changes: Partial<Step>): RunView {
  return { ...view, steps: changed(view, node, changes) };
}

function changed(view: RunView, node: Node, changes: Partial<Step>): Step[] {
  return view.steps.map(step =>
    step.node === node ? { ...step, ...changes } : step
  );
}

function kept<T>(list: readonly T[], item: T, limit: number): T[] {
  return [...list, item].slice(-limit);
}
