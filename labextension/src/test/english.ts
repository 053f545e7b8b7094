import type { TranslationBundle } from '@jupyterlab/translation';

function filled(text: string, values: unknown[]): string {
  return values.reduce<string>(
    (said, value, n) => said.replace(`%${n + 1}`, String(value)),
    text
  );
}

/** A translator that leaves everything in English. */
export const english = {
  __: (text: string, ...values: unknown[]) => filled(text, values),
  _n: (one: string, many: string, count: number, ...values: unknown[]) =>
    filled(count === 1 ? one : many, [count, ...values])
} as unknown as TranslationBundle;
