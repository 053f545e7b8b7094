import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import type { RunDocument } from '../document';

/** Vitest runs in labextension/; the address of this module is none of a file where a page is simulated. */
const ALL = JSON.parse(
  readFileSync(resolve('../tests/fixtures/documents.json'), 'utf8')
) as Record<string, RunDocument>;

/** Return the document of a run, as the server makes it. */
export function document(name: string): RunDocument {
  const found = ALL[name];
  if (!found) {
    throw new Error(`There is no document ${name}.`);
  }
  return found;
}
