/** Follow a run's events, through lost connections. */
import { type Api, RefusedError } from './api';
import type { LoomEvent } from './events';

/** Takes a stream of server-sent events apart. */
export class Messages {
  private rest = '';
  deleted = false;

  /** Return the events that a piece of the stream completes. */
  push(piece: string): LoomEvent[] {
    const lines = (this.rest + piece).split('\n');
    this.rest = lines.pop() ?? '';
    const events: LoomEvent[] = [];
    for (const line of lines) {
      if (line === 'event: deleted') {
        this.deleted = true;
      } else if (line.startsWith('data: ')) {
        const event = JSON.parse(line.slice(6)) as Partial<LoomEvent>;
        if (typeof event.type === 'string' && event.seq) {
          events.push(event as LoomEvent);
        }
      }
    }
    return events;
  }
}

/** Who follows a run. */
export interface Follower {
  /** Number of the newest event that is known. */
  lastSeq(): number;
  /** New events, in order; an event may come twice. */
  take(events: LoomEvent[]): void;
  /** Whether the connection holds. */
  connected(holds: boolean): void;
}

const PAUSES = [500, 1_000, 2_000, 5_000, 10_000];

/** Follow a run until `signal`, or until the run is gone (then true). */
export async function follow(
  api: Api,
  run: string,
  follower: Follower,
  signal: AbortSignal
): Promise<boolean> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const body = await api.events(run, follower.lastSeq() + 1, signal);
      follower.connected(true);
      failures = 0;
      if (await read(body, follower, signal)) {
        return true;
      }
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) {
        return true;
      }
    }
    if (!signal.aborted) {
      follower.connected(false);
      const pause = PAUSES[Math.min(failures, PAUSES.length - 1)] ?? 10_000;
      failures += 1;
      await sleep(pause, signal);
    }
  }
  return false;
}

async function read(
  body: ReadableStream<Uint8Array>,
  follower: Follower,
  signal: AbortSignal
): Promise<boolean> {
  const messages = new Messages();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  while (!signal.aborted) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    const events = messages.push(decoder.decode(value, { stream: true }));
    if (events.length && !signal.aborted) {
      follower.take(events);
    }
    if (messages.deleted) {
      return true;
    }
  }
  return false;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true }
    );
  });
}
