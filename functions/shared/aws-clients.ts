/** AWS clients as the functions use them. */
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** A client of the table in this function's region. */
export const documentClient = (config: DynamoDBClientConfig = {}): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(new DynamoDBClient(config), {
    marshallOptions: { removeUndefinedValues: true },
  });

/** A table and the way to it. */
export interface IndexTable {
  table: DynamoDBDocumentClient;
  tableName: string;
}

/**
 * For work that comes again by itself and has nobody waiting for it: a service that is slow or refuses is left alone soon,
 * well within the function's time. 400 `Throttling` and `PriorRequestNotComplete` are among what the SDK tries again.
 */
export const IMPATIENT = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
};

/** Route 53 is one service for all regions: the SDK knows its address. */
export const route53Client = (): Route53Client => new Route53Client(IMPATIENT);

export const sqsClient = (): SQSClient => new SQSClient({});

/**
 * A connection that carries nothing for so long is given up. S3 sends spaces while it copies, so that a copy may take as
 * long as it likes (CopyObject, "Response and special errors").
 */
const S3_CONNECTIONS = { connectionTimeout: 3_000, socketTimeout: 60_000 };

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
    requestHandler: S3_CONNECTIONS,
  });
  s3Clients.set(region, client);
  return client;
}

const impatientS3Clients = new Map<string, S3Client>();

/** The same for small requests of work that comes again: a region that does not answer is given up within seconds. */
export function impatientS3Client(region: string): S3Client {
  const known = impatientS3Clients.get(region);
  if (known) return known;
  const client = new S3Client({
    region,
    forcePathStyle: Boolean(process.env.AWS_ENDPOINT_URL),
    ...IMPATIENT,
  });
  impatientS3Clients.set(region, client);
  return client;
}
