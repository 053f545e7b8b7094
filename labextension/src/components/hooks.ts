import type { ISignal } from '@lumino/signaling';
import {
  type FocusEvent,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef
} from 'react';

/** Render again whenever a signal says so. */
export function useSignal<T, U>(signal: ISignal<T, U>): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const slot = () => again();
    signal.connect(slot);
    return () => void signal.disconnect(slot);
  }, [signal]);
}

/**
 * Keep the focus in a row of buttons that come and go, so that a keyboard goes on where it was.
 *
 * Returns what the row's element takes.
 */
export function useHeldFocus(): {
  ref: RefObject<HTMLDivElement>;
  onFocus: () => void;
  onBlur: (event: FocusEvent) => void;
} {
  const ref = useRef<HTMLDivElement>(null);
  const held = useRef(false);
  useLayoutEffect(() => {
    if (held.current && document.activeElement === document.body) {
      ref.current?.querySelector<HTMLElement>('button:enabled')?.focus();
    }
  });
  return {
    ref,
    onFocus: () => {
      held.current = true;
    },
    onBlur: event => {
      held.current = event.relatedTarget === null;
    }
  };
}
