/** Text of models, files and checks made fit to be shown: nothing in it is hidden, no line is endless. */

const LINE_LIMIT = 400;
const ANSI =
  // eslint-disable-next-line no-control-regex
  /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;
// What nobody sees, as `loom_jupyter/invisible.py` has it: control, format, private and unassigned characters, odd
// spaces, and letters and marks without a shape.
const HIDDEN =
  // eslint-disable-next-line no-misleading-character-class -- marks without a shape are meant one by one
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\u{1d159}\u{e0100}-\u{e01ef}]/gu;
const KEPT = '\t\n \u3000';
const PICTURE = /[\p{So}\u{1f3fb}-\u{1f3ff}]$/u;
const PICTURE_FOLLOWS = /^[\p{So}\u{1f3fb}-\u{1f3ff}]/u;
const JOINED_SCRIPTS =
  /[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1800-\u18af]$/u;

/** Show every hidden character by name, as `⟨U+202E⟩`; line ends and tabulators stay. */
export function exact(text: string): string {
  return text.replace(HIDDEN, (sign: string, at: number) => {
    const before = text.slice(Math.max(0, at - 2), at);
    const after = text.slice(at + sign.length, at + sign.length + 2);
    if (KEPT.includes(sign) || joins(sign, before, after)) {
      return sign;
    }
    const code = sign.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** Whether a character makes an emoji or joins letters where it stands. */
function joins(sign: string, before: string, after: string): boolean {
  if (sign === '\ufe0e' || sign === '\ufe0f') {
    return (
      PICTURE.test(before) || (/[0-9#*]$/.test(before) && after[0] === '\u20e3')
    );
  }
  if (sign === '\u200d' && PICTURE_FOLLOWS.test(after)) {
    return PICTURE.test(before) || /[\ufe0e\ufe0f]$/.test(before);
  }
  return (
    (sign === '\u200c' || sign === '\u200d') && JOINED_SCRIPTS.test(before)
  );
}

/** Drop terminal colours, and show other hidden characters as `exact` does. */
export function visible(text: string): string {
  return exact(text.replace(/\r\n/g, '\n').replace(ANSI, ''));
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

/** Return a path, or another name, as it is: one line with nothing hidden in it. */
export function path(text: string): string {
  return exact(cut(text)).replace(/\n/g, '⟨U+000A⟩').replace(/\t/g, '⟨U+0009⟩');
}

/** Return text whose lines are safe to show, none of them endless. */
export function block(text: string, show = visible): string {
  return text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map(part => show(cut(part)))
    .join('\n');
}
