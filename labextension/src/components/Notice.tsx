import type { JSX } from 'react';

import { block, line } from '../view/plain';

interface Props {
  text: string;
}

/** A sentence, and what it shows below, such as the three versions of a file. */
export function Notice({ text }: Props): JSX.Element {
  const end = text.indexOf('\n');
  const below = end < 0 ? '' : text.slice(end).trim();
  return (
    <div className="jp-Loom-notice">
      <p>{line(end < 0 ? text : text.slice(0, end))}</p>
      {below && <pre tabIndex={0}>{block(below)}</pre>}
    </div>
  );
}
