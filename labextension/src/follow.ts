/** Follow a run's document, through lost connections. */
import { type Api, RefusedError } from './api';
import type { RunDocument, Text } from './document';

/** A text as the change of the one before: what is kept of it, and what follows. */
export interface TextChange extends Text {
  drop: number;
  keep: number;
}

/** Sections of a document that are new. */
export type News = Omit<Partial<RunDocument>, 'texts'> & {
  texts?: TextChange[];
};

/** Return a document with its new sections; null before the first. */
export function updated(
  document: RunDocument | null,
  { texts, ...news }: News
): RunDocument {
  const known = document?.texts ?? [];
  const grown = texts?.map(({ drop, keep, ...rest }) => {
    const before = known.find(({ node }) => node === rest.node)?.text ?? '';
    return { ...rest, text: before.slice(drop, drop + keep) + rest.text };
  });
  return { ...document, ...news, texts: grown ?? known } as RunDocument;
}

/** Takes a stream of server-sent events apart. */
export class Messages {
  private rest = '';
  deleted = false;

  /** Return the news that a piece of the stream completes. */
  push(piece: string): News[] {
    const lines = (this.rest + piece).split('\n');
    this.rest = lines.pop() ?? '';
    this.deleted ||= lines.includes('event: deleted');
    return lines
      .filter(line => line.startsWith('data: ') && !this.deleted)
      .map(line => JSON.parse(line.slice(6)) as News);
  }
}

/** Who follows a run. */
export interface Follower {
  /** The document as it is now. */
  take(document: RunDocument): void;
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
      const body = await api.follow(run, signal);
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
  let document: RunDocument | null = null; // a stream begins with a whole one
  while (!signal.aborted) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    for (const news of messages.push(decoder.decode(value, { stream: true }))) {
      document = updated(document, news);
      if (!signal.aborted) {
        follower.take(document);
      }
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
