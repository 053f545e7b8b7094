/** Milliseconds after which the palette that ran a command has given the focus back. */
const PALETTE = 80;

/** Move the focus to an element, also where a command of the palette asks for it. */
export function focus(element: HTMLElement | null): void {
  element?.focus();
  setTimeout(() => {
    if (
      element?.isConnected &&
      !near(element).contains(document.activeElement)
    ) {
      element.focus();
    }
  }, PALETTE);
}

function near(element: HTMLElement): Element {
  return element.closest('.jp-Loom') ?? element;
}
