/** Loom's routes of the Jupyter server. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { Action, Message, Plan, RunState } from './document';
import { type LedgerPage, type LedgerQuery, shownFamilies } from './ledger';

/** A run, as a list shows it. */
export interface RunSummary {
  id: string;
  task: string;
  /** The task in a line, the state in a word and the files' names: fit to be shown. */
  title: string;
  word: Message;
  names: string[];
  /** The workspace as the Contents API names it; `.` is the server's root. */
  workspace: string;
  created: number;
  touched: number;
  state: RunState;
  reason: string;
  /** False if it should be at work, but its process has ended. */
  alive: boolean;
  files: string[];
  passed: boolean | null;
  check: string | null;
  model: string | null;
}

/** How the index of a workspace stood at its newest run. */
export interface IndexState {
  workspace: string;
  runs: number;
  files: number | null;
  indexed: number | null;
}

/** What the settings of a workspace would run or send, and whether the user lets them. */
export interface TrustState {
  /** A line each: the key, its value, and what it does. */
  needed: { key: string; value: string; does: string }[];
  granted: boolean;
  /** Keys that are not as they were when they were trusted. */
  changed: string[];
  /** Identifies what is shown. */
  digest: string;
}

/** What the server refused, in its own words. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    message: string
  ) {
    super(message);
  }
}

/** A client of the routes. */
export class Api {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** Return the newest runs whose task holds all `words`. */
  async runs(words = '', before = '', limit = 50): Promise<RunSummary[]> {
    const query = URLExt.objectToQueryString({
      q: words,
      before,
      limit: String(limit)
    });
    const answer = await this.request(`runs${query}`);
    return ((await answer.json()) as { runs: RunSummary[] }).runs;
  }

  /** Return the state of the workspaces' indexes. */
  async index(): Promise<IndexState[]> {
    const answer = await this.request('index');
    return ((await answer.json()) as { workspaces: IndexState[] }).workspaces;
  }

  /** Return what the settings of a workspace would run or send. */
  async trust(workspace: string): Promise<TrustState> {
    const query = URLExt.objectToQueryString({ workspace });
    return (await (await this.request(`trust${query}`)).json()) as TrustState;
  }

  /** Let what was shown, by its digest, count from now on. */
  async grant(workspace: string, digest: string): Promise<TrustState> {
    const query = URLExt.objectToQueryString({ workspace, digest });
    const answer = await this.request(`trust${query}`, { method: 'POST' });
    return (await answer.json()) as TrustState;
  }

  /** Return files of a run's whole ledger. */
  async ledger(
    run: string,
    asked: LedgerQuery,
    families: readonly string[],
    offset: number,
    limit: number
  ): Promise<LedgerPage> {
    const query = URLExt.objectToQueryString({
      q: asked.words,
      order: asked.order,
      families: shownFamilies(asked, families),
      offset: String(offset),
      limit: String(limit)
    });
    const path = `runs/${encodeURIComponent(run)}/ledger${query}`;
    return (await (await this.request(path)).json()) as LedgerPage;
  }

  /** Return lines that say what keeps the best file whose path holds `path` from ranking higher. */
  async whyNot(run: string, path: string): Promise<string[]> {
    const query = URLExt.objectToQueryString({ path });
    const answer = await this.request(
      `runs/${encodeURIComponent(run)}/why-not${query}`
    );
    return ((await answer.json()) as { lines: string[] }).lines;
  }

  /** Ask something of a run; resolves when it is done, rejects with the reason if it is refused. */
  async control(run: string, action: Action, asked: Asked = {}): Promise<void> {
    await this.request(`runs/${encodeURIComponent(run)}/control`, {
      method: 'POST',
      body: JSON.stringify({ action, ...asked })
    });
  }

  /** Delete a run. */
  async remove(run: string): Promise<void> {
    await this.request(`runs/${encodeURIComponent(run)}`, { method: 'DELETE' });
  }

  /** Open the stream of a run's document. */
  async follow(
    run: string,
    signal: AbortSignal
  ): Promise<ReadableStream<Uint8Array>> {
    const path = `runs/${encodeURIComponent(run)}/follow`;
    const { body } = await this.request(path, { signal });
    if (!body) {
      throw new RefusedError(500, 'The server sent no stream.');
    }
    return body;
  }

  private async request(
    path: string,
    init: RequestInit = {}
  ): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, 'loom/api') + '/' + path;
    const answer = await ServerConnection.makeRequest(url, init, this.settings);
    if (!answer.ok) {
      throw new RefusedError(answer.status, await reason(answer));
    }
    return answer;
  }
}

/** What an accept or undo may be limited to, and what an answer says. */
export interface Asked {
  paths?: string[];
  hunks?: Record<string, number[]>;
  merged?: boolean;
  /** The answer to the Architect's question; empty to have it guess. */
  text?: string;
  /** The task as it should be. */
  task?: Task;
}

/** What the Architect makes of the user's words. */
export type Task = Pick<Plan, 'intent' | 'goal' | 'acceptance' | 'terms'>;

async function reason(answer: Response): Promise<string> {
  try {
    const said = (await answer.json()) as { message?: string };
    return said.message ?? answer.statusText;
  } catch {
    return answer.statusText; // no JSON: a proxy's page
  }
}
