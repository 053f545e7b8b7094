import { Button, addIcon, runIcon } from '@jupyterlab/ui-components';
import {
  type JSX,
  type KeyboardEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useState
} from 'react';

import { useHost } from '../host';
import { TagChip } from './TagChip';
import { focus } from './focus';
import { useSignal } from './hooks';

/** Where a task is written: its words, and under them tags, check and model. */
export function TaskBox(): JSX.Element {
  const { trans, drafts, run, pick } = useHost();
  useSignal(drafts.changed);
  const draft = drafts.value;
  const box = useRef<HTMLTextAreaElement>(null);
  const [starting, setStarting] = useState(false);
  const [problem, setProblem] = useState('');

  useEffect(() => {
    const wanted = () => focus(box.current);
    drafts.wanted.connect(wanted);
    return () => void drafts.wanted.disconnect(wanted);
  }, [drafts]);

  useLayoutEffect(() => {
    const area = box.current;
    if (area) {
      area.style.height = '';
      area.style.height = `${Math.min(area.scrollHeight + 2, 260)}px`;
    }
  }, [draft.task]);

  const start = async () => {
    if (starting || !draft.task.trim()) {
      return;
    }
    setStarting(true);
    setProblem('');
    try {
      await run(draft);
      drafts.set({ task: '' });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setStarting(false);
    }
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      void start();
    }
  };

  return (
    <form
      className="jp-Loom-task"
      aria-label={trans.__('Task')}
      onKeyDown={onKey}
      onSubmit={event => {
        event.preventDefault();
        void start();
      }}
    >
      <textarea
        ref={box}
        className="jp-mod-styled jp-Loom-words"
        rows={3}
        maxLength={20_000}
        aria-label={trans.__('What should be different')}
        placeholder={trans.__('What should be different, in your own words')}
        value={draft.task}
        onChange={event => drafts.set({ task: event.target.value })}
      />
      <div className="jp-Loom-tags">
        {draft.tags.map(path => (
          <TagChip
            key={path}
            path={path}
            onRemove={() =>
              drafts.set({ tags: draft.tags.filter(tag => tag !== path) })
            }
          />
        ))}
        <button
          type="button"
          className="jp-Loom-chip jp-Loom-add"
          title={trans.__('Pick files that matter, or drag them here')}
          onClick={() => void pick().then(paths => drafts.tag(paths))}
        >
          <addIcon.react tag="span" className="jp-Loom-icon" />
          {trans.__('Tag files')}
        </button>
      </div>
      <label className="jp-Loom-field">
        <span>{trans.__('Check')}</span>
        <input
          className="jp-mod-styled jp-Loom-code"
          value={draft.check}
          placeholder="pytest -q"
          spellCheck={false}
          title={trans.__(
            'A command that passes once the task is solved; auto finds one'
          )}
          onChange={event => drafts.set({ check: event.target.value })}
        />
      </label>
      <label className="jp-Loom-field">
        <span>{trans.__('Model')}</span>
        <input
          className="jp-mod-styled jp-Loom-code"
          value={draft.model}
          placeholder={trans.__('default')}
          spellCheck={false}
          onChange={event => drafts.set({ model: event.target.value })}
        />
      </label>
      <div className="jp-Loom-actions">
        <label title={trans.__('Only answer; change nothing')}>
          <input
            type="checkbox"
            checked={draft.ask}
            onChange={event => drafts.set({ ask: event.target.checked })}
          />
          {trans.__('Only ask')}
        </label>
        <label title={trans.__('Write without review if the check passes')}>
          <input
            type="checkbox"
            disabled={draft.ask}
            checked={draft.apply && !draft.ask}
            onChange={event => drafts.set({ apply: event.target.checked })}
          />
          {trans.__('Apply')}
        </label>
        <label
          title={trans.__('Write a cell of the notebook instead of files')}
        >
          <input
            type="checkbox"
            checked={draft.cell}
            onChange={event => drafts.set({ cell: event.target.checked })}
          />
          {trans.__('Cell')}
        </label>
        <label
          title={trans.__(
            'Review the task, and edit it, before the search begins'
          )}
        >
          <input
            type="checkbox"
            checked={draft.plan}
            onChange={event => drafts.set({ plan: event.target.checked })}
          />
          {trans.__('Plan')}
        </label>
        <Button
          type="submit"
          className="jp-mod-styled jp-mod-accept jp-Loom-run"
          disabled={starting || !draft.task.trim()}
          title={trans.__('Run (Ctrl+Enter)')}
        >
          <runIcon.react tag="span" className="jp-Loom-icon" />
          {starting ? trans.__('Starting …') : trans.__('Run')}
        </Button>
      </div>
      {problem && (
        <p className="jp-Loom-error" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
