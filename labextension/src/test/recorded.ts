import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { LoomEvent } from '../events';

const FOLDER = fileURLToPath(
  new URL('../../../tests/fixtures/progress/', import.meta.url)
);

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
