/** What the components take from JupyterLab's own: buttons, and icons that show nothing. */
import type { ButtonHTMLAttributes, JSX } from 'react';

export function Button(
  props: ButtonHTMLAttributes<HTMLButtonElement>
): JSX.Element {
  return <button type="button" {...props} />;
}

const icon = { react: (): JSX.Element => <span aria-hidden="true" /> };

export {
  icon as addIcon,
  icon as caretDownIcon,
  icon as caretRightIcon,
  icon as checkIcon,
  icon as closeIcon,
  icon as deleteIcon,
  icon as historyIcon,
  icon as refreshIcon,
  icon as runIcon,
  icon as stopIcon,
  icon as undoIcon
};
