/** A change in CodeMirror's merge views, with JupyterLab's theme. */
import { MergeView, unifiedMergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { jupyterTheme } from '@jupyterlab/codemirror';

import { side } from './diff';
import type { Part } from './document';

/** Editors are costly: of a very large change the first parts are shown. */
const MOST_PARTS = 60;

interface Options {
  split: boolean;
  language: Extension | null;
  /** What the editors are called, for those who do not see them. */
  label: string;
}

/** Show parts of a diff in `place`; returns what takes them away again. */
export function mount(
  place: HTMLElement,
  parts: readonly Part[],
  { split, language, label }: Options
): () => void {
  const views = parts.slice(0, MOST_PARTS).map(part => {
    const [a, b] = [side(part, 'removed'), side(part, 'added')];
    const common = [
      jupyterTheme,
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': label }),
      ...(language ? [language] : [])
    ];
    if (split) {
      return new MergeView({
        a: { doc: a, extensions: [...common, numbered(part.old_start)] },
        b: { doc: b, extensions: [...common, numbered(part.new_start)] },
        parent: place
      });
    }
    return new EditorView({
      doc: b,
      parent: place,
      extensions: [
        ...common,
        numbered(part.new_start),
        unifiedMergeView({ original: a, mergeControls: false, gutter: true })
      ]
    });
  });
  return () => views.forEach(view => view.destroy());
}

function numbered(start: number): Extension {
  const first = Math.max(1, start);
  return lineNumbers({ formatNumber: number => String(number + first - 1) });
}
