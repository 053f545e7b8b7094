import { deleteIcon } from '@jupyterlab/ui-components';
import { type JSX, useEffect, useState } from 'react';

import type { RunSummary } from '../api';
import { useHost } from '../host';
import { moment } from '../view/figures';
import { line } from '../view/plain';
import { stateWord } from '../view/status';
import { useSignal } from './hooks';

const PAGE = 50;

interface Props {
  onChosen: () => void;
}

/** Past runs: search, reopen, delete. */
export function History({ onChosen }: Props): JSX.Element {
  const { trans, model, remove } = useHost();
  useSignal(model.changed);
  const [words, setWords] = useState('');
  const [found, setFound] = useState<readonly RunSummary[] | null>(null);
  const newest = model.runs[0]?.id;
  useEffect(() => {
    let over = false;
    const timer = setTimeout(() => {
      model.search(words).then(
        runs => over || setFound(runs),
        () => over || setFound([])
      );
    }, 200);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [model, words, newest]);
  const runs = found ?? model.runs;
  const more = async () => {
    const next = await model.search(words, runs.at(-1)?.id);
    setFound([...runs, ...next]);
  };
  const drop = async (run: string) => {
    if (await remove(run)) {
      setFound(runs.filter(other => other.id !== run));
    }
  };
  return (
    <div className="jp-Loom-history">
      <input
        type="search"
        className="jp-mod-styled"
        autoFocus
        placeholder={trans.__('Search past tasks')}
        aria-label={trans.__('Search past tasks')}
        value={words}
        onChange={event => setWords(event.target.value)}
      />
      <ul>
        {runs.map(run => (
          <li key={run.id} aria-current={run.id === model.shown}>
            <button
              type="button"
              className="jp-Loom-past"
              onClick={() => {
                model.choose(run.id === newest ? null : run);
                onChosen();
              }}
            >
              <span className="jp-Loom-pastTask">{line(run.task, 200)}</span>
              <span className="jp-Loom-dim">
                {[
                  moment(run.created, Date.now() / 1000),
                  stateWord(run.state, trans),
                  run.files.map(path => line(path, 60)).join(', ')
                ]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
            </button>
            <button
              type="button"
              className="jp-Loom-delete"
              aria-label={trans.__('Delete the run: %1', line(run.task, 60))}
              onClick={() => void drop(run.id)}
            >
              <deleteIcon.react tag="span" className="jp-Loom-icon" />
            </button>
          </li>
        ))}
      </ul>
      {runs.length === 0 && (
        <p className="jp-Loom-empty">{trans.__('No run holds these words.')}</p>
      )}
      {found && found.length > 0 && found.length % PAGE === 0 && (
        <button
          type="button"
          className="jp-Loom-link"
          onClick={() => void more()}
        >
          {trans.__('Older runs')}
        </button>
      )}
    </div>
  );
}
