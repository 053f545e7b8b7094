/** The two sides of a change. */
import type { Expected, Part } from './document';

/** Return the text of a part before or after the change. */
export function side(part: Part, which: 'removed' | 'added'): string {
  return part.rows
    .filter(row => row.kind === 'same' || row.kind === which)
    .map(row => row.text)
    .join('\n');
}

/** Whether a text still has the lines that a change of it was made of, where they were. */
export function fits(text: string, expected: readonly Expected[]): boolean {
  const have = text.split('\n');
  return expected.every(({ start, lines }) =>
    lines.every(
      (line, number) => have[Math.max(0, start - 1) + number] === line
    )
  );
}
