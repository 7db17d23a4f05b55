/** The opaque cursor of a paged answer: it carries its query, so that a page cannot be continued with another one. */
import { z } from 'zod';
import type { TimeRange } from './search.ts';

const cursorSchema = z.tuple([
  z.iso.datetime({ precision: 3 }),
  z.iso.datetime({ precision: 3 }),
  z.string().regex(/^\d{4}-\d\d-\d\dT[\d:.]+Z#[0-9A-Z]{26}$/),
]);

/** The cursor is not one of ours, or belongs to another query. */
export class InvalidCursorError extends Error {
  constructor() {
    super('this cursor does not belong to this query: repeat the query without it');
    this.name = 'InvalidCursorError';
  }
}

export const encodeCursor = ({ from, to }: TimeRange, after: string): string =>
  Buffer.from(JSON.stringify([from.toISOString(), to.toISOString(), after])).toString('base64url');

/** @throws InvalidCursorError */
export function decodeCursor(cursor: string): TimeRange & { after: string } {
  try {
    const json: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const [from, to, after] = cursorSchema.parse(json);
    // A sort key is `<time>#<id>`: as text, it lies between the times.
    if (after < from || after >= to) throw new InvalidCursorError();
    return { from: new Date(from), to: new Date(to), after };
  } catch {
    throw new InvalidCursorError();
  }
}
