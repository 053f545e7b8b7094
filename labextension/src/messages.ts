/** Sentences that the server makes, translated where JupyterLab's language pack knows them. */
import type { Message } from './document';

/** The part of JupyterLab's translator that words need. */
export interface Words {
  __(text: string, ...values: unknown[]): string;
  _n(one: string, many: string, count: number, ...values: unknown[]): string;
}

/** Return a sentence in the user's language. */
export function say(message: Message, trans: Words): string {
  const { text, plural, count, values } = message;
  const template =
    plural === null ? trans.__(text) : trans._n(text, plural, count ?? 0);
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === 'object' ? say(value, trans) : (value ?? whole);
  });
}

/** Return the parts of a line as one. */
export function sayAll(line: readonly Message[], trans: Words): string {
  return line
    .map(part => say(part, trans))
    .filter(Boolean)
    .join(' · ');
}

/** Return text that does not come from Loom's server without colours, and with a mark for what nobody sees. */
export function readable(text: string): string {
  return text
    .replace(COLOURS, '')
    .replace(
      /(?![\n\t])[\p{C}\p{Zl}\p{Zp}\u034f\u115f\u1160\u3164\uffa0]/gu,
      '�'
    );
}

// eslint-disable-next-line no-control-regex
const COLOURS = /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;
