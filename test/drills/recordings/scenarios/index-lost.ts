/** The table is empty all of a sudden, and is made anew from the manifests in the buckets. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BatchWriteCommand, paginateScan } from '@aws-sdk/lib-dynamodb';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME, type RecordingsStage } from '../recordings-stage.ts';

const REBUILD = join(import.meta.dirname, '../../../../functions/index-recording/rebuild-cli.ts');
/** What DynamoDB deletes at once. */
const BATCH = 25;

export const indexLost: RecordingsDrill = {
  name: 'index-lost',
  what: 'the index table is emptied, then rebuilt by npm run index:rebuild from both buckets',
  async play(stage, count) {
    await stage.store(HOME, count);
    await stage.untilArrived({ sweeping: false });
    await stage.untilIdle();
    const lost = await emptyTable(stage);
    stage.say(`${lost} items deleted`);
    const mendedAt = Date.now();
    for (const region of stage.regions) stage.say(await rebuild(stage, region));
    const repairedAt = await stage.untilArrived();
    return { mendedAt, repairedAt, failures: [], figures: { 'items lost': lost } };
  },
};

async function emptyTable({ documents, tableName }: RecordingsStage): Promise<number> {
  let deleted = 0;
  const client = documents(HOME);
  for await (const { Items = [] } of paginateScan(
    { client },
    { TableName: tableName, ProjectionExpression: 'pk, sk' },
  ))
    for (let at = 0; at < Items.length; at += BATCH) {
      const requests = Items.slice(at, at + BATCH).map((Key) => ({ DeleteRequest: { Key } }));
      await client.send(new BatchWriteCommand({ RequestItems: { [tableName]: requests } }));
      deleted += requests.length;
    }
  return deleted;
}

/** The command, as an operator runs it. @returns its last line */
async function rebuild(stage: RecordingsStage, region: string): Promise<string> {
  const { endpoint, credentials, tableName } = stage;
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-rebuild-'));
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        REBUILD,
        ...['--bucket', stage.bucket(region), '--table', tableName, '--region', region],
        ...['--table-region', HOME, '--checkpoint', join(directory, 'checkpoint.json')],
      ],
      {
        env: {
          ...process.env,
          AWS_ENDPOINT_URL: endpoint,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        },
      },
    );
    return stdout.trimEnd().split('\n').at(-1) ?? '';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
