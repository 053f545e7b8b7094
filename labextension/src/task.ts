/** The cell that hands a task to Loom. */

/** What the task box holds. */
export interface Draft {
  task: string;
  /** Paths as the Contents API names them. */
  tags: readonly string[];
  check: string;
  model: string;
  apply: boolean;
  ask: boolean;
  /** Look at the task before the search for places begins. */
  plan: boolean;
  /** Write a cell of the notebook instead of files. */
  cell: boolean;
}

export const BLANK: Draft = {
  task: '',
  tags: [],
  check: '',
  model: '',
  apply: false,
  ask: false,
  plan: false,
  cell: false
};

/** The line that a notebook needs before its first task. */
export const LOAD = '%load_ext loom_jupyter';

/** Return the line that explains and repairs the notebook's last exception, with a draft's check and model. */
export function fix(draft: Draft): string {
  return ['%loom fix', ...choices(draft)].join(' ');
}

function choices({ check, model }: Draft): string[] {
  const words = [];
  if (check.trim()) {
    words.push('--check', quoted(check.trim()));
  }
  if (model.trim()) {
    words.push('--model', quoted(model.trim()));
  }
  return words;
}

/** Return the `%%loom` cell of a draft. Tags are given as paths relative to `folder`, the notebook's. */
export function cell(draft: Draft, folder: string): string {
  const words = ['%%loom'];
  for (const tag of draft.tags) {
    words.push('--tag', quoted(relative(tag, folder)));
  }
  words.push(...choices(draft));
  if (draft.ask) {
    words.push('--ask');
  } else if (draft.apply) {
    words.push('--apply');
  }
  if (draft.cell) {
    words.push('--cell');
  }
  if (draft.plan) {
    words.push('--plan');
  }
  return `${words.join(' ')}\n${draft.task.trim()}`;
}

/** Quote a word for a shell-like line, where it needs it. */
export function quoted(word: string): string {
  if (/^[\w./:@%+=#-]+$/.test(word)) {
    return word;
  }
  return `"${word.replace(/[\r\n]+/g, ' ').replace(/(["\\])/g, '\\$1')}"`;
}

/** Return `path` as seen from `folder`. */
export function relative(path: string, folder: string): string {
  const [from, to] = [split(folder), split(path)];
  let same = 0;
  while (
    same < from.length &&
    same < to.length - 1 &&
    from[same] === to[same]
  ) {
    same += 1;
  }
  return [...from.slice(same).map(() => '..'), ...to.slice(same)].join('/');
}

function split(path: string): string[] {
  return path.split('/').filter(part => part && part !== '.');
}
