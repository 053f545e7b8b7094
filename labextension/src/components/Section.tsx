import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { type JSX, type ReactNode, useId, useState } from 'react';

interface Props {
  title: string;
  /** Stands at the right end of the title. */
  aside?: ReactNode;
  children: ReactNode;
}

/** A part of the sidebar that can be folded. */
export function Section({ title, aside, children }: Props): JSX.Element {
  const [open, setOpen] = useState(true);
  const id = useId();
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <section className="jp-Loom-section" aria-label={title}>
      <h2 className="jp-Loom-title">
        <button
          type="button"
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        >
          <Caret.react tag="span" className="jp-Loom-caret" />
          {title}
        </button>
        {aside && <span className="jp-Loom-aside">{aside}</span>}
      </h2>
      <div id={id} className="jp-Loom-body" hidden={!open}>
        {children}
      </div>
    </section>
  );
}
