import { Button } from '@jupyterlab/ui-components';
import { type JSX, type ReactNode, useState } from 'react';

import type { Intent, Plan, RunDocument } from '../document';
import { useHost } from '../host';

const INTENTS: readonly Intent[] = ['change', 'create', 'explain'];

interface Props {
  document: RunDocument;
}

/** What a run that waits wants of the user: an answer to its question, or a look at the task. */
export function Asking({ document }: Props): JSX.Element | null {
  const { question, plan, actions } = document;
  if (question) {
    return <Answer key={question.text} question={question.text} />;
  }
  const waits = actions.some(({ action }) => action === 'approve');
  return waits && plan ? (
    <TaskForm key={JSON.stringify(plan)} plan={plan} />
  ) : null;
}

function Answer({ question }: { question: string }): JSX.Element {
  const { trans, model } = useHost();
  const [text, setText] = useState('');
  const say = (words: string) => void model.ask('answer', { text: words });
  return (
    <form
      className="jp-Loom-asking"
      aria-label={trans.__('The Architect asks')}
      onSubmit={event => {
        event.preventDefault();
        say(text);
      }}
    >
      <Field label={question}>
        <input
          className="jp-mod-styled"
          maxLength={2_000}
          value={text}
          onChange={event => setText(event.target.value)}
        />
      </Field>
      <div className="jp-Loom-buttons">
        <Button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={model.asking !== null || !text.trim()}
        >
          {trans.__('Answer')}
        </Button>
        <Button
          type="button"
          className="jp-mod-styled"
          title={trans.__('Continue with the best guess')}
          disabled={model.asking !== null}
          onClick={() => say('')}
        >
          {trans.__('Guess')}
        </Button>
      </div>
    </form>
  );
}

function TaskForm({ plan }: { plan: Plan }): JSX.Element {
  const { trans, model } = useHost();
  const [intent, setIntent] = useState(plan.intent);
  const [goal, setGoal] = useState(plan.goal);
  const [acceptance, setAcceptance] = useState(plan.acceptance.join('\n'));
  const [terms, setTerms] = useState(plan.terms.join(', '));
  const go = () => {
    const task = {
      intent,
      goal: goal.trim(),
      acceptance: parts(acceptance, '\n'),
      terms: parts(terms, ',')
    };
    void model.ask('approve', { task });
  };
  return (
    <form
      className="jp-Loom-asking"
      aria-label={trans.__('The task, as the Architect understood it')}
      onSubmit={event => {
        event.preventDefault();
        go();
      }}
    >
      <Field label={trans.__('Intent')}>
        <select
          className="jp-mod-styled"
          value={intent}
          onChange={event => setIntent(event.target.value as Intent)}
        >
          {INTENTS.map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field label={trans.__('Goal')}>
        <textarea
          className="jp-mod-styled"
          rows={2}
          value={goal}
          onChange={event => setGoal(event.target.value)}
        />
      </Field>
      <Field label={trans.__('Accepted when (one statement per line)')}>
        <textarea
          className="jp-mod-styled"
          rows={2}
          value={acceptance}
          onChange={event => setAcceptance(event.target.value)}
        />
      </Field>
      <Field label={trans.__('Words that the code may contain')}>
        <input
          className="jp-mod-styled"
          value={terms}
          onChange={event => setTerms(event.target.value)}
        />
      </Field>
      <div className="jp-Loom-buttons">
        <Button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={model.asking !== null || !goal.trim()}
        >
          {trans.__('Continue')}
        </Button>
      </div>
    </form>
  );
}

interface FieldProps {
  label: string;
  children: ReactNode;
}

function Field({ label, children }: FieldProps): JSX.Element {
  return (
    <label className="jp-Loom-asked-for">
      <span>{label}</span>
      {children}
    </label>
  );
}

function parts(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map(part => part.trim())
    .filter(Boolean);
}
