/** What `npm start` says while it works. */

export interface Progress {
  say(line: string): void;
  /** A step begins: a terminal shows it at once. The returned function ends it, and shows how long it took. */
  onStep(what: string): () => void;
}

/** ANSI: back to the beginning of the line, and clear it. */
const CLEAR_LINE = '\r\x1b[K';

export function showProgress(out: { isTTY?: boolean; write(text: string): unknown }): Progress {
  const say = (line: string): void => void out.write(`${out.isTTY ? CLEAR_LINE : ''}${line}\n`);
  return {
    say,
    onStep(what) {
      const begun = performance.now();
      if (out.isTTY) out.write(`${CLEAR_LINE}      ...  ${what}`);
      return () => say(`  ${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${what}`);
    },
  };
}
