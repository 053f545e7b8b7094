/* Made from loom_jupyter/progress.schema.json by `npm run events`. */

export type LoomEvent =
  | Started
  | StateChanged
  | Indexed
  | ModelLoading
  | ModelReady
  | NodeStarted
  | NodeText
  | NodeUsage
  | NodeRepaired
  | NodeFinished
  | TaskPlanned
  | QuestionAsked
  | QuestionAnswered
  | LedgerMade
  | MapMade
  | CheckStarted
  | CheckFinished
  | CandidateTried
  | ProposalMade
  | ControlHandled
  | Noticed
  | Failed;
/**
 * Where a run stands.
 *
 * A run in `REVIEW` waits for the user and nothing is at work; one that is `WAITING` needs the user's answer, or
 * the user's word on its task, before it goes on.
 */
export type RunState =
  'queued' | 'running' | 'waiting' | 'review' | 'accepted' | 'rejected' | 'undone' | 'stopped' | 'failed';
/**
 * The stations of a run, in their fixed order.
 */
export type Node = 'architect' | 'explorer' | 'coder' | 'check' | 'review';
/**
 * What the user wants done.
 */
export type Intent = 'change' | 'create' | 'explain';
/**
 * What can be asked of a run through ``control.jsonl``.
 */
export type Action = 'stop' | 'accept' | 'reject' | 'undo' | 'answer' | 'approve';

/**
 * First event of a run: what was asked.
 */
export interface Started {
  apply: boolean;
  /**
   * Seconds that the Coder may search.
   */
  budget: number;
  check: string | null;
  model: string;
  root: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  tagged: string[];
  task: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'started';
  v: 1;
}
/**
 * The run entered a state.
 */
export interface StateChanged {
  reason: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  state: RunState;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'state';
  v: 1;
}
/**
 * The index is up to date.
 */
export interface Indexed {
  changed: number;
  files: number;
  removed: number;
  /**
   * Run id.
   */
  run: string;
  seconds: number;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'indexed';
  v: 1;
}
/**
 * The model is being fetched, verified or loaded; kept apart from thinking.
 */
export interface ModelLoading {
  fraction: number;
  name: string;
  phase: 'download' | 'verify' | 'plan' | 'load';
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'model_loading';
  v: 1;
}
/**
 * The model can be asked.
 */
export interface ModelReady {
  /**
   * Bytes of the device.
   */
  available: number;
  device: string;
  /**
   * Bytes the model takes.
   */
  memory: number;
  n_ctx: number;
  name: string;
  /**
   * Run id.
   */
  run: string;
  seconds: number;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'model_ready';
  v: 1;
}
/**
 * A node began.
 */
export interface NodeStarted {
  node: Node;
  note: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'node_started';
  v: 1;
}
/**
 * A piece of a node's reply, as it streams.
 */
export interface NodeText {
  node: Node;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  text: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'node_text';
  v: 1;
}
/**
 * Tokens of one model call.
 */
export interface NodeUsage {
  completion_tokens: number;
  decode_seconds: number;
  node: Node;
  prefill_seconds: number;
  prompt_tokens: number;
  reused_tokens: number;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'usage';
  v: 1;
}
/**
 * A malformed reply was repaired, retried or replaced by a deterministic answer.
 */
export interface NodeRepaired {
  node: Node;
  note: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'repaired';
  v: 1;
}
/**
 * A node is done, with one line for people and its contract as data.
 */
export interface NodeFinished {
  data: {
    [k: string]: unknown;
  };
  node: Node;
  /**
   * Run id.
   */
  run: string;
  seconds: number;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  summary: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'node_finished';
  v: 1;
}
/**
 * The Architect's TaskSpec.
 */
export interface TaskPlanned {
  acceptance: string[];
  goal: string;
  intent: Intent;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  terms: string[];
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'task';
  v: 1;
}
/**
 * The Architect cannot act on the request and asks the user; the run waits.
 */
export interface QuestionAsked {
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  text: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'question';
  v: 1;
}
/**
 * The user's answer; empty if the run is to go on with its best guess.
 */
export interface QuestionAnswered {
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  text: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'answer';
  v: 1;
}
/**
 * The ledger's top files; the whole ledger is in the run's ``ledger.json``.
 */
export interface LedgerMade {
  files: RankedFile[];
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Files with any evidence.
   */
  total: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'ledger';
  v: 1;
}
/**
 * One file of the ledger, with all its evidence.
 */
export interface RankedFile {
  path: string;
  rank: number;
  rows: EvidenceRow[];
  score: number;
}
/**
 * One row of the ledger.
 */
export interface EvidenceRow {
  detail: string;
  /**
   * Family of the rule, for its colour.
   */
  family: string;
  line: number | null;
  path: string;
  points: number;
  rule: string;
  symbol: string | null;
}
/**
 * The Context Map: places only, the text is in the run's ``map.json``.
 */
export interface MapMade {
  excerpts: string[];
  omitted: number;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  targets: string[];
  tokens: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'map';
  v: 1;
}
/**
 * The check is being run.
 */
export interface CheckStarted {
  command: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  stage: 'before' | 'candidate' | 'proposal';
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'check_started';
  v: 1;
}
/**
 * The check ended.
 */
export interface CheckFinished {
  output: string;
  passed: boolean;
  /**
   * Run id.
   */
  run: string;
  seconds: number;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  stage: 'before' | 'candidate' | 'proposal';
  summary: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'check_finished';
  v: 1;
}
/**
 * The Coder's search tried one candidate.
 */
export interface CandidateTried {
  /**
   * How it was made: rewrite, replaced line, inserted line, sample, …
   */
  kind: string;
  limit: number;
  number: number;
  place: string;
  reason: string;
  /**
   * Run id.
   */
  run: string;
  seconds: number;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'candidate';
  v: 1;
  verdict: 'passed' | 'failed' | 'refused' | 'unchecked';
}
/**
 * The proposal under review.
 */
export interface ProposalMade {
  answer: string;
  /**
   * With --cell: what is proposed instead of files.
   */
  cell: ProposedCell | null;
  /**
   * Of each file: SHA-256 of its path and its bytes before and after.
   */
  digests: {
    [k: string]: string;
  };
  files: ProposedFile[];
  passed: boolean | null;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  summary: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'proposal';
  v: 1;
}
/**
 * A notebook cell that a run wrote, for a front end that can put it into the notebook.
 */
export interface ProposedCell {
  /**
   * Id of the cell it replaces, where the kernel was told it.
   */
  cell_id: string;
  /**
   * The 5 of In [5]: the cell it replaces; none for a new one.
   */
  number: number | null;
  source: string;
}
/**
 * One file of a proposal.
 */
export interface ProposedFile {
  added: number;
  diff: string;
  path: string;
  removed: number;
}
/**
 * A line of ``control.jsonl`` was carried out or refused.
 */
export interface ControlHandled {
  action: Action;
  /**
   * Refused because nobody waits for it any more.
   */
  dropped: boolean;
  id: string;
  /**
   * Refused, but accept with `merged` can do it.
   */
  mergeable: boolean;
  ok: boolean;
  reason: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'control';
  v: 1;
}
/**
 * Something the user should know that does not end the run.
 */
export interface Noticed {
  /**
   * Two words for the head of the run, where they belong there.
   */
  chip: string;
  /**
   * What changes it, such as `%loom trust`.
   */
  command: string;
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  text: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'notice';
  v: 1;
}
/**
 * Why the run failed: one sentence with the remedy.
 */
export interface Failed {
  /**
   * Run id.
   */
  run: string;
  /**
   * Position in the run's log, from 1.
   */
  seq: number;
  text: string;
  /**
   * Seconds since the epoch.
   */
  ts: number;
  type: 'error';
  v: 1;
}
