/** The way to S3. */
import { S3Client } from '@aws-sdk/client-s3';
import { SILENT } from '../aws.ts';

/**
 * A connection that carries nothing for so long is given up; the next try follows. It counts from the last progress, so that
 * an upload may be as slow as it likes while it moves.
 */
const STALL_MS = 60_000;
const CONNECT_MS = 5_000;

/** @param stallMs see `STALL_MS` */
export const recordingsClient = (stallMs = STALL_MS): S3Client =>
  new S3Client({
    // Emulators serve all buckets under one host name; an explicit endpoint means path-style addresses.
    forcePathStyle: Boolean(process.env.AWS_ENDPOINT_URL),
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: stallMs },
    logger: SILENT,
  });
