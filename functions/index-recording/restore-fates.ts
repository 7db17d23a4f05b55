/** Holds, their releases, and deletions under way, restored into the index from the objects that a region's bucket has of them. */
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import {
  DELETIONS_ROOT,
  deletionKey,
  deletionSchema,
  dueItem,
  HOLDS_ROOT,
  holdFactItem,
  holdObjectSchema,
} from '../../core/fate-items.ts';
import type { TableKey } from '../../core/index-items.ts';
import { writeTogether } from '../shared/transactions.ts';
import type { IndexDependencies } from './index-recording.ts';

/** An object that should tell of a hold or a deletion does not: to go on without it could lose what is under hold. */
export class UnreadableFateError extends Error {
  constructor(bucket: string, key: string, cause: unknown) {
    super(`${key} in ${bucket} cannot be read: restore its last version, then run this again`, { cause });
    this.name = 'UnreadableFateError';
  }
}

/**
 * Puts back what the index has not got; facts never change, so that what it has is right.
 * @returns how many there are
 * @throws UnreadableFateError, or the SDK's errors
 */
export async function restoreFates(
  dependencies: IndexDependencies,
  { bucket, region }: { bucket: string; region: string },
): Promise<number> {
  let count = 0;
  for await (const [key, text] of objectsBelow(dependencies, bucket, HOLDS_ROOT)) {
    const { subject, fact } = read(bucket, key, () => holdObjectSchema.parse(JSON.parse(text)));
    await putIfMissing(dependencies, holdFactItem(subject, fact), dueItem(region, subject, new Date()));
    count += 1;
  }
  for await (const [key, text] of objectsBelow(dependencies, bucket, DELETIONS_ROOT)) {
    const deletion = read(bucket, key, () => deletionSchema.parse(JSON.parse(text)));
    const { recordingId, homeRegion } = deletion;
    await putIfMissing(
      dependencies,
      { ...deletionKey(recordingId), ...deletion },
      dueItem(homeRegion, { kind: 'recording', recordingId }, new Date()),
    );
    count += 1;
  }
  return count;
}

async function* objectsBelow(
  { s3 }: IndexDependencies,
  bucket: string,
  prefix: string,
): AsyncGenerator<[key: string, text: string]> {
  let token: string | undefined;
  do {
    const { Contents = [], NextContinuationToken } = await s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
    );
    for (const { Key } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      yield [Key as string, (await Body?.transformToString()) ?? ''];
    }
    token = NextContinuationToken;
  } while (token);
}

function read<T>(bucket: string, key: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new UnreadableFateError(bucket, key, cause);
  }
}

/** With the work that follows from it. */
async function putIfMissing(index: IndexDependencies, item: TableKey, due: TableKey): Promise<void> {
  const refused = await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: item,
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
    { Put: { TableName: index.tableName, Item: due } },
  ]);
  // There already: it is still to be seen to, in a bucket or a region that has lost something, too.
  if (refused.length > 0) await index.table.send(new PutCommand({ TableName: index.tableName, Item: due }));
}
