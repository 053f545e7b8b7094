/** The sidebar's state: the runs there are, and the one that is shown. */
import { Poll } from '@lumino/polling';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import {
  type Api,
  type Asked,
  type IndexState,
  RefusedError,
  type RunSummary,
  type TrustState
} from './api';
import type { Action, Change, Offer, RunDocument } from './document';
import { follow } from './follow';
import type { LedgerPage, LedgerQuery } from './ledger';

/** What may be wrong with the connection. */
export type Trouble = '' | 'lost' | 'missing';

const FRAME = 60;
const CALM = 3_000;
const EAGER = 300;
/** Milliseconds in which a run that was just asked for may appear. */
const PATIENCE = 30_000;

/** Runs, as the server tells of them; says through `changed` when there is something new to show. */
export class LoomModel implements IDisposable {
  constructor(private readonly api: Api) {
    this.poll = new Poll({
      name: 'loom:runs',
      auto: false,
      factory: () => this.refresh(),
      frequency: { interval: CALM, backoff: true, max: 30_000 },
      standby: 'when-hidden'
    });
    window.document.addEventListener('visibilitychange', this.onVisibility);
  }

  runs: readonly RunSummary[] = [];
  /** Whether the list was read at least once. */
  ready = false;
  /** What there is to see of the run that is shown; null until the server has told it. */
  document: RunDocument | null = null;
  /** The run that is shown; it stays the newest one as long as none was chosen. */
  shown: string | null = null;
  chosen = false;
  trouble: Trouble = '';
  /** What was refused last, in the server's words. */
  refusal = '';
  /** What is being asked of the shown run. */
  asking: Action | null = null;
  index: readonly IndexState[] = [];
  /** What the settings of the shown run's workspace would run or send; null where that is not known. */
  trust: TrustState | null = null;
  /** Whether past runs are shown instead of one run. */
  browsing = false;
  /** Hunks of the proposal that are not to be accepted. */
  left: ReadonlySet<string> = new Set();

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Says that a run's changes were written or taken back, by whomever. */
  get written(): ISignal<this, RunSummary> {
    return this._written;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  /** What the shown run proposes to change. */
  get changes(): readonly Change[] {
    return this.document?.changes ?? [];
  }

  /** An action of the shown run as it can be done now; null if it cannot. */
  offer(action: Action): Offer | null {
    const found = this.document?.actions.find(offer => offer.action === action);
    return found ?? null;
  }

  /** The list's entry of the run that is shown. */
  get summary(): RunSummary | null {
    const found = this.runs.find(run => run.id === this.shown);
    return found ?? (this.picked?.id === this.shown ? this.picked : null);
  }

  /** Begin to look for runs. */
  start(): Promise<void> {
    return this.poll.start();
  }

  dispose(): void {
    if (!this.disposed) {
      this.disposed = true;
      this.poll.dispose();
      this.leaving?.abort();
      clearTimeout(this.frame);
      window.document.removeEventListener(
        'visibilitychange',
        this.onVisibility
      );
      Signal.clearData(this);
    }
  }

  /** Show a run; null follows the newest one again. */
  choose(run: RunSummary | null): void {
    this.browsing = false;
    this.pick(run);
  }

  private pick(run: RunSummary | null): void {
    this.chosen = run !== null;
    this.picked = run;
    this.show(run?.id ?? this.runs[0]?.id ?? null);
    this.tell();
  }

  /** Show past runs, or one run again. */
  browse(on: boolean): void {
    this.browsing = on;
    this.tell();
  }

  /** Look for a new run at once and often, since one was just asked for; show it when it comes. */
  expect(): void {
    this.browsing = false;
    this.chosen = false;
    this.expected = {
      after: this.runs[0]?.id ?? '',
      until: Date.now() + PATIENCE
    };
    this.poll.frequency = { interval: EAGER, backoff: true, max: 30_000 };
    void this.poll.refresh();
  }

  /** Leave hunks out of what is accepted, or take them in again. */
  leave(hunks: readonly string[], out: boolean): void {
    const left = new Set(this.left);
    for (const hunk of hunks) {
      if (out) {
        left.add(hunk);
      } else {
        left.delete(hunk);
      }
    }
    this.left = left;
    this.tell();
  }

  /** Ask something of the run that is shown. */
  async ask(action: Action, asked: Asked = {}): Promise<boolean> {
    const run = this.shown;
    if (run === null || this.asking) {
      return false;
    }
    this.asking = action;
    this.refusal = '';
    this.tell();
    try {
      await this.api.control(run, action, asked);
      return true;
    } catch (error) {
      this.refusal = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      this.asking = null;
      void this.poll.refresh();
      this.tell();
    }
  }

  /** Say why something was not done. */
  refuse(reason: string): void {
    this.refusal = reason;
    this.tell();
  }

  /** Let the settings that are shown count; rejects with the reason if they are no longer the same. */
  async grant(): Promise<void> {
    if (!this.trust) {
      return;
    }
    try {
      this.trust = await this.api.grant(this.workspace, this.trust.digest);
    } catch (error) {
      await this.lookAtTrust();
      throw error;
    }
    this.tell();
  }

  /** Delete a run. */
  async remove(run: string): Promise<void> {
    await this.api.remove(run);
    this.runs = this.runs.filter(other => other.id !== run);
    if (this.shown === run) {
      this.pick(null);
    }
    this.tell();
  }

  /** Return runs whose tasks hold all `words`, older than `before`. */
  search(words: string, before = ''): Promise<RunSummary[]> {
    return this.api.runs(words, before);
  }

  /** Return files of a run's whole ledger. */
  ledger(
    run: string,
    asked: LedgerQuery,
    families: readonly string[],
    offset: number,
    limit: number
  ): Promise<LedgerPage> {
    return this.api.ledger(run, asked, families, offset, limit);
  }

  /** Return lines that say what keeps the best file whose path holds `path` from ranking higher. */
  whyNot(run: string, path: string): Promise<string[]> {
    return this.api.whyNot(run, path);
  }

  private async refresh(): Promise<void> {
    try {
      const before = this.runs;
      this.runs = await this.api.runs();
      if (this.ready) {
        this.tellWritten(before);
      }
      if (!this.ready || this.runs.length !== before.length) {
        this.index = await this.api.index();
        await this.lookAtTrust();
      }
      this.ready = true;
      if (this.trouble === 'missing') {
        this.trouble = '';
      }
    } catch (error) {
      const missing = error instanceof RefusedError && error.status === 404;
      this.trouble = missing ? 'missing' : 'lost';
      this.tell();
      throw error; // the poll waits longer then
    }
    this.settle();
    this.tell();
  }

  /** The workspace that is shown; the server's root before the first run. */
  private get workspace(): string {
    return this.summary?.workspace ?? this.runs[0]?.workspace ?? '.';
  }

  private async lookAtTrust(): Promise<void> {
    const { workspace } = this;
    try {
      const trust = await this.api.trust(workspace);
      if (workspace === this.workspace) {
        this.trust = trust;
      }
    } catch {
      this.trust = null; // the folder is gone, or the server is of an earlier version
    }
    this.tell();
  }

  /** Tell which runs were accepted or undone since the list was read last. */
  private tellWritten(before: readonly RunSummary[]): void {
    const states = new Map(before.map(run => [run.id, run.state]));
    for (const run of this.runs) {
      const over = run.state === 'accepted' || run.state === 'undone';
      if (over && states.get(run.id) !== run.state && run.files.length) {
        this._written.emit(run);
      }
    }
  }

  /** Show what the list calls for. */
  private settle(): void {
    const newest = this.runs[0]?.id ?? null;
    const { expected } = this;
    if (
      expected &&
      (newest !== expected.after || Date.now() > expected.until)
    ) {
      this.expected = null;
      this.poll.frequency = { interval: CALM, backoff: true, max: 30_000 };
    }
    if (!this.chosen) {
      this.show(newest);
    }
    this.resume();
  }

  private show(run: string | null): void {
    if (run === this.shown) {
      return;
    }
    const before = this.workspace;
    this.leaving?.abort();
    this.leaving = null;
    this.shown = run;
    if (this.workspace !== before) {
      this.trust = null;
      void this.lookAtTrust();
    }
    this.document = null;
    this.left = new Set();
    this.refusal = '';
    this.resume();
  }

  /** Follow the shown run as long as something can still happen to it and somebody looks. */
  private resume(): void {
    if (
      this.shown === null ||
      this.leaving ||
      window.document.hidden ||
      this.complete
    ) {
      return;
    }
    const run = this.shown;
    const leaving = (this.leaving = new AbortController());
    const mine = () => this.leaving === leaving;
    void follow(
      this.api,
      run,
      {
        take: document => {
          if (mine()) {
            this.document = document;
            this.rest();
            this.soon();
          }
        },
        connected: holds => {
          if (mine()) {
            this.trouble = holds ? '' : 'lost';
            this.soon();
          }
        }
      },
      leaving.signal
    ).then(gone => {
      if (mine()) {
        this.leaving = null;
        if (gone) {
          this.pick(null);
        }
      }
    });
  }

  /** Whether the shown run is over, and all that the list knows of it is here. */
  private get complete(): boolean {
    const { summary, document } = this;
    return (
      document !== null &&
      document.state === summary?.state &&
      !document.at_work &&
      document.state !== 'review'
    );
  }

  /** Browsers allow few connections a server: keep none for a run that is over. */
  private rest(): void {
    if (this.complete) {
      this.leaving?.abort();
      this.leaving = null;
    }
  }

  private readonly onVisibility = (): void => {
    if (window.document.hidden) {
      this.leaving?.abort();
      this.leaving = null;
    } else {
      this.resume();
    }
  };

  private soon(): void {
    if (this.frame === undefined) {
      this.frame = window.setTimeout(() => this.tell(), FRAME);
    }
  }

  private tell(): void {
    clearTimeout(this.frame);
    this.frame = undefined;
    if (!this.disposed) {
      this._changed.emit();
    }
  }

  private readonly poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _written = new Signal<this, RunSummary>(this);
  private picked: RunSummary | null = null;
  private leaving: AbortController | null = null;
  private expected: { after: string; until: number } | null = null;
  private frame: number | undefined;
  private disposed = false;
}
