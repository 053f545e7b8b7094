/* Made from loom_jupyter/runs/document.schema.json by `npm run types`. */

/**
 * What can be asked of a run through ``control.jsonl``.
 */
export type Action = 'stop' | 'accept' | 'reject' | 'undo' | 'answer' | 'approve';
/**
 * What the user wants done.
 */
export type Intent = 'change' | 'create' | 'explain';
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
 * How far one of the five steps is.
 */
export type StepState = 'waiting' | 'active' | 'done' | 'failed' | 'stopped' | 'skipped';

/**
 * A run as it is shown.
 *
 * Attributes
 * ----------
 * task, root
 *     As the user wrote it, and the workspace's folder: as they are, not made fit to be shown.
 * title
 *     The task in a line.
 * at_work
 *     Whether something runs or waits its turn.
 * writing
 *     The node that is writing, or wrote last.
 * actions
 *     What can be done now.
 */
export interface RunDocument {
  actions: Offer[];
  answer: string;
  at_work: boolean;
  bar: Bar;
  candidates: Candidate[];
  cell: CellChange | null;
  changes: Change[];
  evidence: Evidence | null;
  head: Head;
  notices: Notice[];
  outcome: Outcome | null;
  output: Output | null;
  plan: Plan | null;
  question: Question | null;
  root: string;
  run: string;
  state: RunState;
  steps: Step[];
  task: string;
  texts: Text[];
  title: Message;
  writing: Node | null;
}
/**
 * Something that can be done now; `merged`: Accept, on top of the user's own edits.
 */
export interface Offer {
  action: Action;
  label: Message;
  merged: boolean;
  why: Message;
}
/**
 * A sentence, or a part of one, that can be translated.
 *
 * Attributes
 * ----------
 * id
 *     Its key in `TEXTS`.
 * text, plural
 *     The English template, and its form for many; None where nothing is counted.
 * count
 *     What chooses between the two.
 * values
 *     What the names in braces stand for, ready to be shown: nothing in them is hidden, no line is endless.
 */
export interface Message {
  count: number | null;
  id: string;
  plural: string | null;
  text: string;
  values: {
    [k: string]: string | Message;
  };
}
/**
 * The line below the steps.
 *
 * Attributes
 * ----------
 * text
 *     What is awaited, and how long it has taken.
 * fraction
 *     How far it is (0 to 1); None where that cannot be said.
 * short
 *     The same for a status bar.
 * spoken
 *     The same for a screen reader: it changes with the step, not with the clock.
 */
export interface Bar {
  fraction: number | null;
  short: Message;
  spoken: Message;
  text: Message[];
}
/**
 * One candidate of the search.
 */
export interface Candidate {
  number: number;
  text: Message;
  verdict: 'passed' | 'failed' | 'refused' | 'unchecked';
  word: Message;
}
/**
 * A cell that a run wrote: its source, and the cell that it replaces (`cell_id`), if any.
 */
export interface CellChange {
  cell_id: string;
  expected: Expected[];
  number: number | null;
  source: string;
}
/**
 * Lines that a cell must still have from line `start` (from 1) on, exactly as they are, to be rewritten.
 */
export interface Expected {
  lines: string[];
  start: number;
}
/**
 * One file of the proposal; `name` is its `path` as it is shown, `line` the first that changes.
 */
export interface Change {
  added: number;
  hunks: Hunk[];
  label: Message;
  line: number | null;
  name: string;
  parts: Part[];
  path: string;
  removed: number;
}
/**
 * Lines that change together. Its position is what Accept calls it; `line` is its first line afterwards.
 */
export interface Hunk {
  line: number;
  text: Message;
}
/**
 * Lines of a diff that belong together, with the numbers of the first ones (from 1); `cell` in notebooks.
 */
export interface Part {
  cell: string | null;
  new_start: number;
  old_start: number;
  rows: DiffRow[];
}
/**
 * One line of a diff; `number` is its line in the old file if removed, else in the new one.
 */
export interface DiffRow {
  kind: 'same' | 'added' | 'removed' | 'note';
  number: number | null;
  text: string;
}
/**
 * The ledger's first files.
 *
 * Attributes
 * ----------
 * total
 *     How many files have any evidence.
 * longest
 *     The best score: the longest bar.
 * families
 *     The families of rules that occur.
 */
export interface Evidence {
  families: string[];
  files: EvidenceFile[];
  longest: number;
  title: Message;
  total: number;
}
/**
 * One file of the ledger.
 *
 * Attributes
 * ----------
 * path, name
 *     The path as it is on disk, and as it is shown.
 * line
 *     The line of its strongest evidence that has one.
 * why
 *     Its strongest evidence in a few words.
 * more
 *     Rows that are left out: the weakest.
 */
export interface EvidenceFile {
  bar: Share[];
  line: number | null;
  more: number;
  name: string;
  path: string;
  points: string;
  rank: number;
  rows: Row[];
  score: number;
  why: string;
}
/**
 * What one family of rules adds to a file's score: its points, and its part of the file's bar, 0 to 1.
 */
export interface Share {
  family: string;
  part: number;
  points: string;
}
/**
 * One piece of evidence: the rule, its points, what it saw and where (`path` as it is on disk).
 */
export interface Row {
  family: string;
  line: number | null;
  path: string;
  points: string;
  rule: string;
  text: string;
}
/**
 * The line above the steps: the model, its memory, and chips.
 */
export interface Head {
  chips: Chip[];
  memory: Meter | null;
  model: Message[];
}
/**
 * Two words for the head of the run, such as "not trusted", and the command that changes it.
 */
export interface Chip {
  command: string;
  text: Message;
}
/**
 * A part of something: `fraction` from 0 to 1, and what it says.
 */
export interface Meter {
  fraction: number;
  text: Message;
}
/**
 * A sentence, and lines to show below it.
 */
export interface Notice {
  below: string;
  text: Message;
}
/**
 * How a run ended that did not solve its task: what was tried, the best it found, what to do next.
 */
export interface Outcome {
  best: Message | null;
  next: Message;
  tried: Message | null;
}
/**
 * What the check printed; `earlier` says how many lines before these there are.
 */
export interface Output {
  earlier: Message | null;
  text: string;
  title: Message;
}
/**
 * The Architect's task; `hint` says how to go on, where the run waits for that.
 */
export interface Plan {
  acceptance: string[];
  goal: string;
  hint: Message | null;
  intent: Intent;
  lines: TaskLine[];
  terms: string[];
}
/**
 * One part of a task with its name.
 */
export interface TaskLine {
  name: Message;
  text: string;
}
/**
 * What the Architect asks; `hint` says how to answer in words.
 */
export interface Question {
  hint: Message;
  text: string;
}
/**
 * One of the five steps. `aside` belongs at its right end; `spoken` is its state in a word.
 */
export interface Step {
  aside: Message[];
  mark: string;
  name: Message;
  node: Node;
  spoken: Message;
  state: StepState;
  text: Message[];
  time: string;
}
/**
 * What a node wrote: the end of it.
 */
export interface Text {
  node: Node;
  text: string;
  title: Message;
}
