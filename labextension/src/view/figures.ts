/** How Loom writes figures: the same in panel, sidebar and terminal. */

/** Write a duration: `0.4 s`, `61 s`, `12 min`. */
export function duration(value: number): string {
  if (value < 99.95) {
    return `${value.toFixed(1)} s`;
  }
  return value < 600
    ? `${value.toFixed(0)} s`
    : `${(value / 60).toFixed(0)} min`;
}

/** Write a number of things with thousands separated: `1,140`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Write bytes as `1.9` (GB, that is 2**30 bytes), `24` from ten on. */
export function gigabytes(value: number): string {
  const size = value / 2 ** 30;
  return size < 9.95 ? size.toFixed(1) : size.toFixed(0);
}

/** Write a context window: `16k`, `512`. */
export function window(tokens: number): string {
  return tokens >= 1024 ? `${Math.floor(tokens / 1024)}k` : String(tokens);
}

/** Write tokens and their rate: `412 tok · 27/s`. */
export function tokens(number: number, perSecond: number | null): string {
  const said = `${count(number)} tok`;
  return perSecond ? `${said} · ${perSecond.toFixed(0)}/s` : said;
}

/** Write points with their sign: `+7`, `-2.5`. */
export function points(value: number): string {
  const said = String(Math.round(value * 10) / 10);
  return value < 0 ? said.replace('-', '−') : `+${said}`;
}

/** Write when something happened: the time today, else the day. */
export function moment(ts: number, now: number): string {
  const then = new Date(ts * 1000);
  const today = new Date(now * 1000).toDateString() === then.toDateString();
  return today
    ? then.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : then.toLocaleDateString([], { month: 'short', day: 'numeric' });
}
