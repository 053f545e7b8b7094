/** The draft in the task box: changed by typing, by the file browser's menu and by cells. */
import { type ISignal, Signal } from '@lumino/signaling';

import { BLANK, type Draft } from './task';

/** Holds the one draft there is. */
export class Drafts {
  private draft: Draft = BLANK;
  private readonly _changed = new Signal<this, Draft>(this);
  private readonly _wanted = new Signal<this, void>(this);

  get value(): Draft {
    return this.draft;
  }

  get changed(): ISignal<this, Draft> {
    return this._changed;
  }

  /** Says that the user is to go on in the task box. */
  get wanted(): ISignal<this, void> {
    return this._wanted;
  }

  /** Change some of the draft. */
  set(part: Partial<Draft>): void {
    this.draft = { ...this.draft, ...part };
    this._changed.emit(this.draft);
  }

  /** Add tags, each once. */
  tag(paths: readonly string[]): void {
    this.set({ tags: [...new Set([...this.draft.tags, ...paths])] });
  }

  /** Move the focus into the task box. */
  focus(): void {
    this._wanted.emit();
  }
}
