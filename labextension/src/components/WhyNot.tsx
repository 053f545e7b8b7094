import { type JSX, useEffect, useId, useState } from 'react';

import type { EvidenceFile } from '../document';
import { useHost } from '../host';

/** Milliseconds in which more may be typed before the server is asked. */
const PAUSE = 200;

interface Props {
  run: string;
  /** The ledger's first files. */
  files: readonly EvidenceFile[];
}

/** Says what keeps a file that one expected from ranking higher. */
export function WhyNot({ run, files }: Props): JSX.Element {
  const { trans, model } = useHost();
  const [words, setWords] = useState('');
  const [lines, setLines] = useState<readonly string[]>([]);
  const list = useId();
  const asked = words.trim();
  useEffect(() => {
    let over = false;
    const timer = setTimeout(() => {
      if (asked) {
        model.whyNot(run, asked).then(
          found => over || setLines(found),
          (error: unknown) => over || setLines([String(error)])
        );
      }
    }, PAUSE);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [model, run, asked]);
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
        {asked && lines.map((line, number) => <p key={number}>{line}</p>)}
      </div>
    </div>
  );
}
