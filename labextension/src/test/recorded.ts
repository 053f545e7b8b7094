import { readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';

import type { LoomEvent } from '../events';

/** Vitest runs in labextension/; the address of this module is none of a file where a page is simulated. */
const FOLDER = resolve('../tests/fixtures/progress') + '/';

/** Names of the recorded runs of a real model. */
export const NAMES = readdirSync(FOLDER)
  .filter(name => name.endsWith('.jsonl'))
  .map(name => name.slice(0, -'.jsonl'.length));

/** Return the events of a recorded run. */
export function events(name: string): LoomEvent[] {
  return readFileSync(`${FOLDER}${name}.jsonl`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as LoomEvent);
}

/** What Python's reducer makes of the first events of a recorded run. */
export interface Expected {
  events: number;
  view: unknown;
}

/** Return what Python's reducer makes of a recorded run. */
export function expected(name: string): Expected[] {
  return JSON.parse(
    readFileSync(`${FOLDER}${name}.json`, 'utf8')
  ) as Expected[];
}
