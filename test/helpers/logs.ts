/** A recorder's log as its tests read it: line by line, and the next one that says something. */
import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';

export interface LogLine extends Record<string, unknown> {
  level: number;
  msg: string;
}

export class LogLines {
  readonly lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();

  /** Takes one line of JSON; anything else is no log line. */
  add(text: string): void {
    if (!text.startsWith('{')) return;
    this.lines.push(JSON.parse(text));
    for (const look of [...this.#waiting]) look();
  }

  /** The first line with this message and these fields, from the beginning on; waits for it. */
  find(msg: string, fields: Record<string, unknown> = {}): Promise<LogLine> {
    return new Promise((resolve) => {
      const look = () => {
        const line = this.lines.find(
          (candidate) =>
            candidate.msg === msg &&
            Object.entries(fields).every(([name, value]) => candidate[name] === value),
        );
        if (!line) return;
        this.#waiting.delete(look);
        resolve(line);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** A logger that writes here. */
  logger(): Logger {
    const destination = new Writable({
      write: (chunk, _encoding, done) => {
        this.add(String(chunk).trimEnd());
        done();
      },
    });
    return pino({ level: 'debug' }, destination);
  }
}
