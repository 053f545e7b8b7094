import type { JSX } from 'react';

import type { Meter } from '../document';
import { useHost } from '../host';
import { say } from '../messages';

interface Props {
  memory: Meter | null;
}

/** What the model takes of its device's memory. */
export function MemoryBar({ memory }: Props): JSX.Element | null {
  const { trans } = useHost();
  if (!memory) {
    return null;
  }
  const text = say(memory.text, trans);
  return (
    <span className="jp-Loom-memory" role="img" aria-label={text} title={text}>
      <i style={{ width: `${memory.fraction * 100}%` }} />
    </span>
  );
}
