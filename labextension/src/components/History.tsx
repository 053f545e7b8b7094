import { deleteIcon, refreshIcon } from '@jupyterlab/ui-components';
import { type JSX, useEffect, useRef, useState } from 'react';

import type { RunSummary } from '../api';
import { useHost } from '../host';
import { say } from '../messages';
import { focus } from './focus';
import { useSignal } from './hooks';

const PAGE = 50;

/** Past runs: search, reopen, replay, delete. */
export function History(): JSX.Element {
  const { trans, model, replay, remove } = useHost();
  useSignal(model.changed);
  const [words, setWords] = useState('');
  const [found, setFound] = useState<readonly RunSummary[] | null>(null);
  const [problem, setProblem] = useState('');
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => focus(search.current), []);
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
  const again = async (run: string) => {
    setProblem('');
    try {
      await replay(run);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div className="jp-Loom-history">
      <input
        type="search"
        className="jp-mod-styled"
        ref={search}
        placeholder={trans.__('Search past tasks')}
        aria-label={trans.__('Search past tasks')}
        value={words}
        onChange={event => setWords(event.target.value)}
      />
      {problem && (
        <p className="jp-Loom-error" role="alert">
          {problem}
        </p>
      )}
      <ul>
        {runs.map(run => (
          <li key={run.id} aria-current={run.id === model.shown}>
            <button
              type="button"
              className="jp-Loom-past"
              onClick={() => model.choose(run.id === newest ? null : run)}
            >
              <span className="jp-Loom-pastTask">{run.title}</span>
              <span className="jp-Loom-dim">
                {[
                  moment(run.created, Date.now() / 1000),
                  say(run.word, trans),
                  run.names.join(', ')
                ]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
            </button>
            <button
              type="button"
              className="jp-Loom-tool"
              title={trans.__(
                'Replay it from its recording, without the model'
              )}
              aria-label={trans.__('Replay the run: %1', run.title)}
              onClick={() => void again(run.id)}
            >
              <refreshIcon.react tag="span" className="jp-Loom-icon" />
            </button>
            <button
              type="button"
              className="jp-Loom-tool"
              title={trans.__('Delete')}
              aria-label={trans.__('Delete the run: %1', run.title)}
              onClick={() => void drop(run.id)}
            >
              <deleteIcon.react tag="span" className="jp-Loom-icon" />
            </button>
          </li>
        ))}
      </ul>
      {runs.length === 0 && (
        <p className="jp-Loom-empty">{trans.__('No matching runs')}</p>
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

/** Write when something happened: the time today, else the day. */
function moment(ts: number, now: number): string {
  const then = new Date(ts * 1000);
  const today = new Date(now * 1000).toDateString() === then.toDateString();
  return today
    ? then.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : then.toLocaleDateString([], { month: 'short', day: 'numeric' });
}
