/** The functions' logger, with what it was told in memory. */
import { Logger } from '@aws-lambda-powertools/logger';

/** A log that a test can read. */
export interface LogEntry {
  level: string;
  message: string;
  [field: string]: unknown;
}

export class QuietLogger extends Logger {
  readonly entries: LogEntry[] = [];

  protected override printLog(_level: number, log: { getAttributes(): object }): void {
    const text = JSON.stringify(log.getAttributes(), (_, value) =>
      value instanceof Error ? `${value.name}: ${value.message}` : value,
    );
    this.entries.push(JSON.parse(text));
  }
}
