/** Text of models, files and checks made fit to be shown: nothing in it is hidden, no line is endless. */

const LINE_LIMIT = 400;
// Terminal escapes, other control characters, zero-width characters and marks that turn the direction of writing.
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const ANSI =
  // eslint-disable-next-line no-control-regex
  /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

/** Drop terminal colours and show other hidden characters by name, as `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(ANSI, '')
    .replace(HIDDEN, found => {
      const code = found.charCodeAt(0).toString(16).toUpperCase();
      return `⟨U+${code.padStart(4, '0')}⟩`;
    });
}

/** Shorten a line, saying by how much. */
export function cut(line: string, limit = LINE_LIMIT): string {
  const more = (line.length - limit).toLocaleString('en-US');
  return line.length <= limit
    ? line
    : `${line.slice(0, limit)} … (${more} more characters)`;
}

/** Return `text` as one line that is safe to show. */
export function line(text: string, limit = LINE_LIMIT): string {
  return visible(cut(text.split(/\s+/).join(' ').trim(), limit));
}

/** Return text whose lines are safe to show, none of them endless. */
export function block(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map(part => visible(cut(part)))
    .join('\n');
}
