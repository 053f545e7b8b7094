import { useCallback, useEffect, useMemo, useState } from 'react';

import { useHost } from '../host';
import { type LedgerPage, type LedgerQuery, firstPage } from '../view/evidence';
import type { RunView } from '../view/view';

/** Milliseconds in which more may be typed before the server is asked. */
const PAUSE = 150;
const PAGE = 50;

interface Shown extends LedgerPage {
  /** Fetch the next files; null if there are none. */
  more: (() => Promise<void>) | null;
}

/** Return the files of the run's whole ledger; at first, and where it cannot be had, those of the run's event. */
export function useLedger(view: RunView, asked: LedgerQuery): Shown {
  const { model } = useHost();
  const { run, files, total } = view;
  const near = useMemo(
    () => firstPage(files, total, asked),
    [files, total, asked]
  );
  const [whole, setWhole] = useState<LedgerPage | null>(null);
  useEffect(() => {
    let over = false;
    const timer = setTimeout(() => {
      model.ledger(run, asked, 0, PAGE).then(
        page => over || setWhole(page),
        () => over || setWhole(null) // the event's files are there all the same
      );
    }, PAUSE);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [model, run, files, asked]);
  const page = whole ?? near;
  const more = useCallback(async () => {
    const next = await model.ledger(run, asked, page.files.length, PAGE);
    setWhole({ ...next, files: [...page.files, ...next.files] });
  }, [model, run, asked, page]);
  return {
    ...page,
    more: whole && page.files.length < page.matching ? more : null
  };
}
