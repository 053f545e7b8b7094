/** A unified diff, read back into its parts. */

export interface DiffLine {
  sign: ' ' | '-' | '+';
  text: string;
}

/** Lines that stand together, with the numbers of their first ones (from 1). */
export interface Part {
  /** Cell id, for notebooks. */
  cell: string | null;
  oldStart: number;
  newStart: number;
  lines: readonly DiffLine[];
}

const RANGE = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;
const CELL = /^\+\+\+ .* \(cell ([^)]+)\)$/;

/** Return the parts of one file's diff. */
export function parts(diff: string): Part[] {
  const found: Part[] = [];
  let cell: string | null = null;
  let lines: DiffLine[] = [];
  let [old, fresh] = [0, 0]; // lines that the part still lacks
  for (const line of diff.split('\n')) {
    const sign = line[0];
    if (old > 0 || fresh > 0) {
      if (sign === ' ' || sign === '-' || sign === '+') {
        lines.push({ sign, text: line.slice(1) });
        old -= Number(sign !== '+');
        fresh -= Number(sign !== '-');
      }
      continue;
    }
    const range = RANGE.exec(line);
    if (range) {
      lines = [];
      old = Number(range[2] ?? 1);
      fresh = Number(range[4] ?? 1);
      const [oldStart, newStart] = [Number(range[1]), Number(range[3])];
      found.push({ cell, oldStart, newStart, lines });
    } else if (line.startsWith('+++ ')) {
      cell = CELL.exec(line)?.[1] ?? null;
    }
  }
  return found;
}

/** Whether a text still is, around each part, what the diff was made of. */
export function fits(text: string, found: readonly Part[]): boolean {
  const lines = text.split('\n');
  return found.every(part => {
    const old = side(part, '-').split('\n');
    const start = Math.max(0, part.oldStart - 1);
    return old.every((line, number) => lines[start + number] === line);
  });
}

/** Return the text of a part before or after the change. */
export function side(part: Part, which: '-' | '+'): string {
  return part.lines
    .filter(line => line.sign === ' ' || line.sign === which)
    .map(line => line.text)
    .join('\n');
}
