// Writes the types of a run's document from its JSON Schema: `npm run types`.
import { readFileSync } from 'node:fs';
import { compile } from 'json-schema-to-typescript';

const SCHEMA = new URL(
  '../loom_jupyter/runs/document.schema.json',
  import.meta.url
);

/** Return the types of the document as TypeScript. */
export async function types() {
  const schema = JSON.parse(readFileSync(SCHEMA, 'utf8'));
  // A title of its own for every field would make an alias of every string.
  for (const part of [schema, ...Object.values(schema.$defs)]) {
    part.required = part.properties && Object.keys(part.properties); // a writer leaves nothing out
    for (const field of Object.values(part.properties ?? {})) {
      delete field.title;
    }
  }
  return compile({ ...schema, title: 'RunDocument' }, 'RunDocument', {
    additionalProperties: false,
    bannerComment:
      '/* Made from loom_jupyter/runs/document.schema.json by `npm run types`. */',
    style: { singleQuote: true, trailingComma: 'none' }
  });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  process.stdout.write(await types());
}
