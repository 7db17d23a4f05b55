/** AWS clients as the functions use them. */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** A client of the table in this function's region. */
export const documentClient = (): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(new DynamoDBClient(), { marshallOptions: { removeUndefinedValues: true } });

const s3Clients = new Map<string | undefined, S3Client>();

/**
 * The S3 client for the buckets of a region; one is kept per region. Emulators serve all buckets under one host
 * name, so an explicit endpoint means path-style addresses.
 * @param region where the bucket is; this function's own when absent
 */
export function s3Client(region?: string): S3Client {
  const known = s3Clients.get(region);
  if (known) return known;
  const client = new S3Client({
    ...(region && { region }),
    forcePathStyle: Boolean(process.env.AWS_ENDPOINT_URL),
  });
  s3Clients.set(region, client);
  return client;
}
