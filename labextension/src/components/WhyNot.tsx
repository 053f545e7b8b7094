import { type JSX, useEffect, useId, useState } from 'react';

import type { RankedFile } from '../events';
import { useHost } from '../host';
import { named, whyNot } from '../view/whynot';

/** Milliseconds in which more may be typed before the server is asked. */
const PAUSE = 200;

interface Props {
  run: string;
  /** The ledger's first files. */
  files: readonly RankedFile[];
}

/** Says why a file that one expected does not stand higher. */
export function WhyNot({ run, files }: Props): JSX.Element {
  const { trans, model } = useHost();
  const [words, setWords] = useState('');
  const [far, setFar] = useState<RankedFile | null>(null);
  const list = useId();
  const asked = words.trim();
  const near = named(files, asked);
  useEffect(() => {
    let over = false;
    const timer = setTimeout(() => {
      if (asked && !near) {
        model.ledgerFile(run, asked).then(
          found => over || setFar(found),
          () => over || setFar(null) // the first files are known all the same
        );
      }
    }, PAUSE);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [model, run, asked, near]);
  const file = near ?? (far && named([far], asked));
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
        {asked &&
          whyNot(files[0] ?? null, file, trans).map((said, number) => (
            <p key={number}>{said}</p>
          ))}
      </div>
    </div>
  );
}
