import { historyIcon } from '@jupyterlab/ui-components';
import type { JSX } from 'react';

import { useHost } from '../host';
import { count } from '../view/figures';
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
  const { view, browsing } = model;
  const proposal = view.proposal;
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
                        'No run yet. Write above what should be different; a check such as pytest -q tells Loom when it is.'
                      )
                    : trans.__('Looking for runs …')}
                </p>
              ) : (
                <RunSection key={model.shown} />
              )}
            </Section>
            <Section
              title={trans.__('Evidence')}
              aside={
                view.files.length > 0 &&
                trans._n(
                  '%1 file',
                  '%1 files',
                  Math.max(view.total, view.files.length)
                )
              }
            >
              {view.files.length > 0 ? (
                <Evidence key={model.shown} view={view} />
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
              aside={
                proposal !== null &&
                proposal.files.length > 0 &&
                count(proposal.files.length)
              }
            >
              {proposal ? (
                <Changes key={model.shown} view={view} />
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
