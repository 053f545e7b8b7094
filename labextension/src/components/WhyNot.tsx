import { type JSX, useId, useState } from 'react';

import type { RankedFile } from '../events';
import { useHost } from '../host';
import { whyNot } from '../view/whynot';

interface Props {
  files: readonly RankedFile[];
}

/** Says why a file that one expected does not stand higher. */
export function WhyNot({ files }: Props): JSX.Element {
  const { trans } = useHost();
  const [words, setWords] = useState('');
  const list = useId();
  return (
    <div className="jp-Loom-whyNot">
      <input
        className="jp-mod-styled jp-Loom-code"
        list={list}
        placeholder={trans.__('why not … (path)')}
        aria-label={trans.__('Why not this file?')}
        value={words}
        spellCheck={false}
        onChange={event => setWords(event.target.value)}
      />
      <datalist id={list}>
        {files.slice(1).map(({ path }) => (
          <option key={path} value={path} />
        ))}
      </datalist>
      <div role="status">
        {whyNot(files, words, trans).map((said, number) => (
          <p key={number}>{said}</p>
        ))}
      </div>
    </div>
  );
}
