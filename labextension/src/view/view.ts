/**
 * What there is to see of a run: one state, made from its events.
 *
 * The same as `RunView` in loom_jupyter/runs/view.py, which panel and terminal show.
 */
import type {
  CandidateTried,
  MapMade,
  Node,
  ProposalMade,
  RankedFile,
  RunState,
  TaskPlanned
} from '../events';

export const NODES: readonly Node[] = [
  'architect',
  'explorer',
  'coder',
  'check',
  'review'
];

/** Where one line of the rail stands. */
export type StepState =
  'waiting' | 'active' | 'done' | 'failed' | 'stopped' | 'skipped';

/** One line of the rail. */
export interface Step {
  node: Node;
  state: StepState;
  /** What it is at, while it is at work; `summary` is what came of it. */
  note: string;
  summary: string;
  /** Seconds since the epoch. */
  started: number | null;
  /** How long it took, once it is over. */
  seconds: number | null;
  /** Of its finished model calls. */
  tokens: number;
  decodeSeconds: number;
  /** Pieces of text of the call that is under way, and the time of the first. */
  pieces: number;
  streamSince: number;
  lastTs: number;
  /** The end of what it wrote. */
  text: string;
  repairs: readonly string[];
}

/** The model, its window in tokens, its memory and the device's in bytes. */
export interface ModelLine {
  name: string;
  phase: string;
  fraction: number;
  nCtx: number;
  device: string;
  memory: number;
  available: number;
}

/** One use of the check; `passed` is null while it runs. */
export interface CheckLine {
  command: string;
  passed: boolean | null;
  summary: string;
  seconds: number;
  output: string;
}

/** Two words for the head of the run, and the command that changes it. */
export interface Chip {
  text: string;
  command: string;
}

/** Everything that is shown of a run. */
export interface RunView {
  run: string;
  task: string;
  root: string;
  tagged: readonly string[];
  check: string | null;
  apply: boolean;
  budget: number;
  /** Null until the first event that tells it. */
  state: RunState | null;
  reason: string;
  /** Times of the first and the newest event, and of the moment nothing was at work any more. */
  started: number | null;
  lastTs: number;
  ended: number | null;
  /** Number of the newest event: where to resume. */
  lastSeq: number;
  indexed: number | null;
  model: ModelLine;
  steps: readonly Step[];
  plan: TaskPlanned | null;
  files: readonly RankedFile[];
  total: number;
  /** What the Architect asks, until it is answered. */
  question: string;
  map: MapMade | null;
  before: CheckLine | null;
  after: CheckLine | null;
  candidates: readonly CandidateTried[];
  proposal: ProposalMade | null;
  notices: readonly string[];
  /** What belongs at the head of the run. */
  chips: readonly Chip[];
  refused: readonly string[];
  /** Whether the accept that was refused last can be done on top of the user's edits. */
  mergeable: boolean;
  error: string;
}

function step(node: Node): Step {
  return {
    node,
    state: 'waiting',
    note: '',
    summary: '',
    started: null,
    seconds: null,
    tokens: 0,
    decodeSeconds: 0,
    pieces: 0,
    streamSince: 0,
    lastTs: 0,
    text: '',
    repairs: []
  };
}

/** The view before the first event. */
export const EMPTY: RunView = {
  run: '',
  task: '',
  root: '',
  tagged: [],
  check: null,
  apply: false,
  budget: 0,
  state: null,
  reason: '',
  started: null,
  lastTs: 0,
  ended: null,
  lastSeq: 0,
  indexed: null,
  model: {
    name: '',
    phase: '',
    fraction: 0,
    nCtx: 0,
    device: '',
    memory: 0,
    available: 0
  },
  steps: NODES.map(step),
  plan: null,
  question: '',
  files: [],
  total: 0,
  map: null,
  before: null,
  after: null,
  candidates: [],
  proposal: null,
  notices: [],
  chips: [],
  refused: [],
  mergeable: false,
  error: ''
};

/** Whether something runs, or waits for its turn or the user; also before the first event. */
export function atWork(state: RunState | null): boolean {
  return (
    state === null ||
    state === 'queued' ||
    state === 'running' ||
    state === 'waiting'
  );
}

/** Return the rail's line of a node. */
export function stepOf(view: RunView, node: Node): Step {
  return view.steps.find(found => found.node === node) ?? step(node);
}

/** Return a step's seconds so far, or null if it never began. */
export function elapsed(line: Step, now: number): number | null {
  if (line.seconds !== null) {
    return line.seconds;
  }
  return line.started === null ? null : Math.max(0, now - line.started);
}

/** Return tokens a second: of the stream under way, else of the finished calls. */
export function rate(line: Step): number | null {
  const span = line.lastTs - line.streamSince;
  if (line.state === 'active' && line.pieces > 4 && span > 0.2) {
    return (line.pieces - 1) / span;
  }
  return line.tokens && line.decodeSeconds > 0
    ? line.tokens / line.decodeSeconds
    : null;
}

/** Return the seconds from the first event until `now`, or until nothing was at work any more. */
export function seconds(view: RunView, now: number): number {
  return view.started === null
    ? 0
    : Math.max(0, (view.ended ?? now) - view.started);
}

/** Whether the run only answered. */
export function answered(view: RunView): boolean {
  return Boolean(view.proposal?.answer) && !view.proposal?.files.length;
}
