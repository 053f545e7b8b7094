import { useCallback, useEffect, useMemo, useState } from 'react';

import type { Evidence } from '../document';
import { useHost } from '../host';
import { type LedgerPage, type LedgerQuery, firstPage } from '../ledger';

/** Milliseconds in which more may be typed before the server is asked. */
const PAUSE = 150;
const PAGE = 50;

interface Shown extends LedgerPage {
  /** Fetch the next files; null if there are none. */
  more: (() => Promise<void>) | null;
}

/** Return the files of the run's whole ledger; at first, and where it cannot be had, those of its document. */
export function useLedger(
  run: string,
  evidence: Evidence,
  asked: LedgerQuery
): Shown {
  const { model } = useHost();
  const near = useMemo(() => firstPage(evidence, asked), [evidence, asked]);
  const [whole, setWhole] = useState<LedgerPage | null>(null);
  const families = whole?.families ?? evidence.families;
  const known = families.join(',');
  useEffect(() => {
    let over = false;
    const timer = setTimeout(() => {
      model.ledger(run, asked, known.split(','), 0, PAGE).then(
        page => over || setWhole(page),
        () => over || setWhole(null) // the document's files are there all the same
      );
    }, PAUSE);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [model, run, known, asked]);
  const page = whole ?? near;
  const more = useCallback(async () => {
    const { length } = page.files;
    const next = await model.ledger(run, asked, families, length, PAGE);
    setWhole({ ...next, files: [...page.files, ...next.files] });
  }, [model, run, asked, families, page]);
  return {
    ...page,
    more: whole && page.files.length < page.matching ? more : null
  };
}
