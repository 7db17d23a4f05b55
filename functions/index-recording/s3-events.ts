/** S3's event notifications as they come through SQS. */
import { z } from 'zod';

const notification = z.object({
  Records: z.array(
    z.object({
      eventName: z.string(),
      s3: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
    }),
  ),
});

/** S3 sends this once, when a notification is configured. */
const testEvent = z.object({ Event: z.literal('s3:TestEvent') });

export interface S3Object {
  bucket: string;
  key: string;
}

/** The body of a message is neither a notification of S3 nor its test event. */
export class UnknownMessageError extends Error {
  constructor(body: string, options?: ErrorOptions) {
    super(`not an S3 event notification: ${body.slice(0, 200)}`, options);
    this.name = 'UnknownMessageError';
  }
}

/**
 * The objects that a message body tells of; none for the test event.
 * Keys come URL-encoded with `+` for a space (S3 User Guide, "Event message structure"); emulators do not encode,
 * which makes no difference to the keys that recorders write.
 * @throws UnknownMessageError
 */
export function parseS3Notification(body: string): S3Object[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (cause) {
    throw new UnknownMessageError(body, { cause });
  }
  if (testEvent.safeParse(json).success) return [];
  const result = notification.safeParse(json);
  if (!result.success) throw new UnknownMessageError(body, { cause: result.error });
  return result.data.Records.map(({ s3 }) => ({ bucket: s3.bucket.name, key: decodeKey(s3.object.key) }));
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}
