/** What `npm start` says while it works. */

export interface Progress {
  say(line: string): void;
  /** A step begins: a terminal shows it at once. The returned function ends it, and shows how long it took. */
  onStep(what: string): () => void;
  /** A line that stays the last one until the next status; only terminals show it. */
  status(line: string): void;
}

/** ANSI: back to the beginning of the line, and clear it. */
const CLEAR_LINE = '\r\x1b[K';

export function showProgress(out: {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}): Progress {
  let last = '';
  const say = (line: string): void => void out.write(`${out.isTTY ? CLEAR_LINE : ''}${line}\n${last}`);
  return {
    say,
    onStep(what) {
      const begun = performance.now();
      if (out.isTTY) out.write(`${CLEAR_LINE}      ...  ${what}`);
      return () => say(`  ${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${what}`);
    },
    status(line) {
      if (!out.isTTY) return;
      last = line.slice(0, (out.columns ?? 80) - 1); // a line that wraps could not be cleared
      out.write(`${CLEAR_LINE}${last}`);
    },
  };
}
