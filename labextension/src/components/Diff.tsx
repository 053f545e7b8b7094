import { type JSX, useEffect, useRef } from 'react';

import { mount } from '../merge';
import { useHost } from '../host';
import type { Change } from '../document';
import { say } from '../messages';

interface Props {
  change: Change;
  /** Side by side, or one under the other. */
  split: boolean;
}

/** A file's change in read-only editors. */
export function Diff({ change, split }: Props): JSX.Element {
  const { trans, language } = useHost();
  const { path, parts } = change;
  const label = say(change.label, trans);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let over = false;
    let close = () => {};
    void language(path).then(found => {
      if (!over && place.current) {
        close = mount(place.current, parts, { split, label, language: found });
      }
    });
    return () => {
      over = true;
      close();
    };
  }, [path, parts, split, label, language]);
  return (
    <div
      ref={place}
      className="jp-Loom-diff"
      role="region"
      aria-label={label}
    />
  );
}
