import { historyIcon } from '@jupyterlab/ui-components';
import type { JSX } from 'react';

import { useHost } from '../host';
import { say } from '../messages';
import { Changes } from './Changes';
import { Evidence } from './Evidence';
import { Footer } from './Footer';
import { History } from './History';
import { RunSection } from './RunSection';
import { Section } from './Section';
import { TaskBox } from './TaskBox';
import { Trouble } from './Trouble';
import { Trust } from './Trust';
import { useSignal } from './hooks';

/** The sidebar: task on top, then the run, its evidence and its changes. */
export function Sidebar(): JSX.Element {
  const { trans, model } = useHost();
  useSignal(model.changed);
  const { document, browsing } = model;
  const evidence = document?.evidence;
  const proposed = document && (document.changes.length > 0 || document.answer);
  return (
    <>
      <header className="jp-Loom-head">
        <h1>Loom</h1>
        {model.chosen && (
          <button
            type="button"
            className="jp-Loom-link"
            onClick={() => model.choose(null)}
          >
            {trans.__('Newest run')}
          </button>
        )}
        <button
          type="button"
          className="jp-Loom-clock"
          aria-pressed={browsing}
          title={trans.__('History of runs')}
          aria-label={trans.__('History of runs')}
          onClick={() => model.browse(!browsing)}
        >
          <historyIcon.react tag="span" className="jp-Loom-icon" />
        </button>
      </header>
      <div className="jp-Loom-scroll">
        <Trouble />
        <Trust />
        {browsing ? (
          <Section title={trans.__('History')}>
            <History />
          </Section>
        ) : (
          <>
            <Section title={trans.__('Task')}>
              <TaskBox />
            </Section>
            <Section title={trans.__('Run')}>
              {model.shown === null ? (
                <p className="jp-Loom-empty">
                  {model.ready
                    ? trans.__(
                        'No run yet. Describe above what should be different; a check such as pytest -q tells Loom when it is done.'
                      )
                    : trans.__('Looking for runs …')}
                </p>
              ) : (
                <RunSection key={model.shown} />
              )}
            </Section>
            <Section
              title={trans.__('Evidence')}
              aside={evidence && say(evidence.title, trans)}
            >
              {document && evidence ? (
                <Evidence
                  key={model.shown}
                  run={document.run}
                  evidence={evidence}
                />
              ) : (
                <p className="jp-Loom-empty">
                  {trans.__(
                    'The files that matter, and why, as soon as the workspace has been searched.'
                  )}
                </p>
              )}
            </Section>
            <Section
              title={trans.__('Changes')}
              aside={model.changes.length || undefined}
            >
              {proposed ? (
                <Changes key={model.shown} document={document} />
              ) : (
                <p className="jp-Loom-empty">
                  {trans.__(
                    'What Loom proposes. Nothing is written before you accept it.'
                  )}
                </p>
              )}
            </Section>
          </>
        )}
      </div>
      {!browsing && model.shown !== null && <Footer />}
    </>
  );
}
