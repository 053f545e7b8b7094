// Writes the types of one line of progress.jsonl from its JSON Schema: `npm run events`.
import { readFileSync } from 'node:fs';
import { compile } from 'json-schema-to-typescript';

const SCHEMA = new URL(
  '../loom_jupyter/progress.schema.json',
  import.meta.url
);

/** Return the types of the event schema as TypeScript. */
export async function types() {
  const schema = JSON.parse(readFileSync(SCHEMA, 'utf8'));
  // A title of its own for every field would make an alias of every string.
  for (const part of Object.values(schema.$defs)) {
    part.required = part.properties && Object.keys(part.properties); // a writer leaves nothing out
    for (const field of Object.values(part.properties ?? {})) {
      delete field.title;
    }
  }
  return compile({ ...schema, title: 'LoomEvent' }, 'LoomEvent', {
    additionalProperties: false,
    bannerComment:
      '/* Made from loom_jupyter/progress.schema.json by `npm run events`. */',
    style: { singleQuote: true, trailingComma: 'none' }
  });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  process.stdout.write(await types());
}
