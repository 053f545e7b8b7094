import type { JSX } from 'react';
import { useHost } from '../host';
import { gigabytes } from '../view/figures';
import type { ModelLine } from '../view/view';

interface Props {
  model: ModelLine;
}

/** What the model takes of its device's memory. */
export function MemoryBar({ model }: Props): JSX.Element | null {
  const { trans } = useHost();
  if (!model.memory || !model.available) {
    return null;
  }
  const share = Math.min(1, model.memory / model.available);
  const said = trans.__(
    '%1 of %2 GB of %3',
    gigabytes(model.memory),
    gigabytes(model.available),
    model.device
  );
  return (
    <span className="jp-Loom-memory" role="img" aria-label={said} title={said}>
      <i style={{ width: `${share * 100}%` }} />
    </span>
  );
}
