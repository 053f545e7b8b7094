import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { types } from '../../events.mjs';

it('has the types of the schema that the package ships', async () => {
  const here = readFileSync(new URL('../events.ts', import.meta.url), 'utf8');
  expect(here).toBe(await types());
});
