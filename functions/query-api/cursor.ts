/**
 * The opaque cursor of a paged answer: its query's parameters, the place to go on from, and a digest of both.
 *
 * The digest binds place and query to each other: a cursor that was altered, cut off or pieced together is refused. It has no
 * key, since a secret would be one more thing to deploy, rotate and lose in every region, and protects nothing here: the
 * parameters in a cursor pass through the same checks, and must stay within the same rights, as those of a request, so that
 * whoever computes a digest can ask for nothing but what a plain query gives.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ProblemError } from './problems.ts';

const cursorSchema = z.tuple([
  z.record(z.string(), z.string()),
  z.string().regex(/^\d{4}-\d\d-\d\dT[\d:.]+Z#[0-9A-Z]{26}$/),
  z.string(),
]);

/** The cursor is not one of ours, or belongs to another query. */
export class InvalidCursorError extends ProblemError {
  constructor() {
    super(400, 'this cursor does not belong to this query: repeat the query without it');
    this.name = 'InvalidCursorError';
  }
}

export interface Cursor {
  /** The query, as parameters of a request; its times are absolute. */
  parameters: Record<string, string>;
  /** Sort key of the entry to go on behind. */
  after: string;
}

export const encodeCursor = ({ parameters, after }: Cursor): string =>
  Buffer.from(JSON.stringify([parameters, after, digestOf(parameters, after)])).toString('base64url');

/**
 * What a cursor says. The parameters are text of the client's still.
 * @throws InvalidCursorError
 */
export function decodeCursor(cursor: string): Cursor {
  const [parameters, after, digest] = parse(cursor);
  if (digest !== digestOf(parameters, after)) throw new InvalidCursorError();
  return { parameters, after };
}

function parse(cursor: string): z.infer<typeof cursorSchema> {
  try {
    return cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw new InvalidCursorError();
  }
}

const digestOf = (parameters: Record<string, string>, after: string): string =>
  createHash('sha256')
    .update(JSON.stringify([Object.entries(parameters).sort(), after]))
    .digest('base64url')
    .slice(0, 22);
