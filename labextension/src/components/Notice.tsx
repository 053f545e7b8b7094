import type { JSX } from 'react';

import type { Notice as Told } from '../document';
import { useHost } from '../host';
import { say } from '../messages';
import { Prose } from './Prose';

interface Props {
  notice: Told;
}

/** A sentence, and what it shows below, such as the three versions of a file. */
export function Notice({ notice }: Props): JSX.Element {
  const { trans } = useHost();
  return (
    <div className="jp-Loom-notice">
      <p>
        <Prose text={say(notice.text, trans)} />
      </p>
      {notice.below && <pre tabIndex={0}>{notice.below}</pre>}
    </div>
  );
}
