/** What a run that is over has to say: what was tried, the best it found, what to do next. */
import { type RunView, atWork } from './view';
import type { Words } from './words';

/** The end of a run in sentences; empty ones do not apply. */
export interface Outcome {
  failed: boolean;
  tried: string;
  best: string;
  remedy: string;
  notices: readonly string[];
}

/** Say how the run ended. */
export function outcome(view: RunView, trans: Words): Outcome {
  const notices = [...view.notices, ...view.refused.slice(-1)];
  const quiet = { failed: false, tried: '', best: '', remedy: '', notices };
  if (atWork(view.state)) {
    return quiet;
  }
  const unsolved = view.proposal?.passed === false && view.state === 'review';
  if (view.state !== 'failed' && !unsolved) {
    return quiet;
  }
  return {
    failed: true,
    tried: tried(view, trans),
    best: best(view, trans),
    remedy: view.error || nextStep(view, trans),
    notices
  };
}

function tried(view: RunView, trans: Words): string {
  const last = view.candidates.at(-1);
  if (!last) {
    return '';
  }
  const verdicts = [
    ['passed', trans.__('passed')],
    ['failed', trans.__('failed the check')],
    ['refused', trans.__('refused by the gate')],
    ['unchecked', trans.__('unchecked')]
  ]
    .map(([kind, said]) => {
      const number = view.candidates.filter(c => c.verdict === kind).length;
      return number ? `${number} ${said}` : '';
    })
    .filter(Boolean);
  const number = trans._n(
    '%1 candidate tried',
    '%1 candidates tried',
    last.number
  );
  return `${number}: ${verdicts.join(', ')}.`;
}

function best(view: RunView, trans: Words): string {
  if (view.proposal?.files.length) {
    const reason = view.after ? view.after.summary : view.proposal.summary;
    return reason ? trans.__('Best candidate (below): %1', reason) : '';
  }
  const failed = view.candidates.filter(c => c.verdict === 'failed').at(-1);
  return failed
    ? trans.__('Last to reach the check: %1: %2', failed.place, failed.reason)
    : '';
}

function nextStep(view: RunView, trans: Words): string {
  if (view.proposal?.files.length) {
    return trans.__(
      'The check still fails with it: accept it as a start, or tag the file where the change belongs and run again.'
    );
  }
  return (
    view.reason ||
    trans.__(
      'Tag the file where the change belongs, or name a check that fails now, and run again.'
    )
  );
}
