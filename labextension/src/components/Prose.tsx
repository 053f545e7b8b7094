import { Fragment, type JSX } from 'react';

interface Props {
  text: string;
}

/** A sentence; what is between backticks in it is set as code. */
export function Prose({ text }: Props): JSX.Element {
  const parts = text.split('`');
  if (parts.length % 2 === 0) {
    return <>{text}</>; // a backtick without its partner
  }
  return (
    <>
      {parts.map((part, n) =>
        n % 2 ? (
          <code key={n}>{part}</code>
        ) : (
          <Fragment key={n}>{part}</Fragment>
        )
      )}
    </>
  );
}
