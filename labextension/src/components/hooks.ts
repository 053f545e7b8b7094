import type { ISignal } from '@lumino/signaling';
import { useEffect, useReducer, useState } from 'react';

/** Render again whenever a signal says so. */
export function useSignal<T, U>(signal: ISignal<T, U>): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const slot = () => again();
    signal.connect(slot);
    return () => void signal.disconnect(slot);
  }, [signal]);
}

/** Return the time in seconds; it goes on only while something is `active`. */
export function useNow(active: boolean): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!active) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now() / 1000), 500);
    return () => clearInterval(timer);
  }, [active]);
  return active ? Math.max(now, Date.now() / 1000) : now;
}
