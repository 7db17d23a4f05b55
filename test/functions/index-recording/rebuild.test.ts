import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { PutCommand, paginateScan } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem, type TableKey } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import { type RebuildOptions, rebuildIndex } from '../../../functions/index-recording/rebuild.ts';
import { seededRandom } from '../../fixtures/mutate.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  putManifest,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { makeManifest, recordingIdAt } from '../../helpers/manifest.ts';

const HOME = 'us-east-1';
const OTHER = 'us-west-2';
const CLI = join(import.meta.dirname, '../../../functions/index-recording/rebuild-cli.ts');

let emulator: TestEmulator;
let directory: string;

beforeAll(async () => {
  emulator = await startTestEmulator();
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-rebuild-'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await emulator.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Recordings of both regions over some days, each with an object besides its manifest, in a bucket of the home region. */
async function bucketOf(bucket: string, count: number): Promise<Manifest[]> {
  const random = seededRandom(21);
  const s3 = emulator.s3(HOME);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const manifests = Array.from({ length: count }, (_, index) => {
    const startedAt = new Date(
      Date.parse('2026-11-20T00:00:00Z') + Math.floor(random() * 4 * 864e5),
    ).toISOString();
    const recordingId = recordingIdAt(startedAt, random);
    return makeManifest({ startedAt, recordingId, homeRegion: index % 3 === 0 ? OTHER : HOME });
  });
  for (const manifest of manifests) {
    const key = await putManifest(s3, bucket, manifest);
    await s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: key.replace('manifest.json', 'audio.wav'), Body: 'x' }),
    );
  }
  return manifests;
}

async function tableOf(tableName: string) {
  await createIndexTable(emulator.dynamo(HOME), tableName);
  return { s3: emulator.s3(HOME), table: emulator.documents(HOME), tableName };
}

async function itemsOf(tableName: string): Promise<TableKey[]> {
  const items: TableKey[] = [];
  const pages = paginateScan(
    { client: emulator.documents(HOME) },
    { TableName: tableName, ConsistentRead: true },
  );
  for await (const { Items = [] } of pages) items.push(...(Items as TableKey[]));
  return items.toSorted((a, b) => (`${a.pk} ${a.sk}` < `${b.pk} ${b.sk}` ? -1 : 1));
}

const keyOf = ({ homeRegion, startedAt, recordingId }: Manifest): string =>
  `rec/${homeRegion}/${startedAt.slice(0, 10).replaceAll('-', '/')}/${recordingId}/manifest.json`;

/** Those whose home is this bucket's region, as they were indexed when they were made. */
async function indexed(tableName: string, bucket: string, manifests: Manifest[]) {
  const dependencies = await tableOf(tableName);
  for (const manifest of manifests.filter(({ homeRegion }) => homeRegion === HOME))
    await indexManifest(dependencies, { bucket, key: keyOf(manifest) });
  return itemsOf(tableName);
}

const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(
      process.execPath,
      [CLI, ...args],
      {
        cwd: directory,
        env: {
          PATH: process.env.PATH,
          AWS_ENDPOINT_URL: emulator.endpoint,
          AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
          AWS_REGION: HOME,
        },
      },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('rebuildIndex', () => {
  const options = (bucket: string, given: Partial<RebuildOptions> = {}): RebuildOptions => ({
    bucket,
    region: HOME,
    parallel: 8,
    ...given,
  });

  it('makes of an empty table what it was before, and changes nothing in a second run', async () => {
    const manifests = await bucketOf('whole', 40);
    const before = (await indexed('before', 'whole', manifests)).filter(({ pk }) => pk.startsWith('REC#'));
    const dependencies = await tableOf('rebuilt');
    expect(await rebuildIndex(dependencies, options('whole'))).toMatchObject({
      manifests: 40,
      restored: 40,
      newer: 0,
      invalid: [],
    });
    const all = await itemsOf('rebuilt');
    const rebuilt = all.filter(({ pk }) => pk.startsWith('REC#'));
    const homeIds = new Set(before.map(({ pk }) => pk));
    expect(rebuilt.filter(({ pk }) => homeIds.has(pk))).toEqual(before);
    expect(new Set(rebuilt.map(({ pk }) => pk)).size).toBe(40);
    // Of the other region's recordings, this bucket proves the copy that it has, and no other.
    const copies = rebuilt.filter(({ pk, sk }) => !homeIds.has(pk) && sk.startsWith('COPY#'));
    expect(copies).toHaveLength(14);
    for (const copy of copies)
      expect(copy).toMatchObject({ sk: `COPY#${HOME}`, region: HOME, bucket: 'whole', role: 'replica' });

    expect(await rebuildIndex(dependencies, options('whole'))).toMatchObject({ restored: 40, newer: 0 });
    expect(await itemsOf('rebuilt')).toEqual(all);
  });

  it('leaves alone what is newer, and what somebody else knows of a copy', async () => {
    const [manifest] = (await bucketOf('older', 2)).slice(1) as [Manifest];
    const dependencies = await tableOf('newer');
    await rebuildIndex(dependencies, options('older'));
    const verified = { ...homeCopyItem(manifest, 'older'), verifiedAt: '2026-11-24T00:00:00.000Z' };
    await dependencies.table.send(new PutCommand({ TableName: 'newer', Item: verified }));
    const newer = await tableOf('with-newer');
    const { s3 } = dependencies;
    await s3.send(new CreateBucketCommand({ Bucket: 'ahead' }));
    const key = await putManifest(s3, 'ahead', { ...manifest, revision: 2, status: 'recovered' });
    await indexManifest({ ...newer, tableName: 'newer' }, { bucket: 'ahead', key });
    const before = await itemsOf('newer');
    expect(await rebuildIndex(dependencies, options('older'))).toMatchObject({ restored: 1, newer: 1 });
    expect(await itemsOf('newer')).toEqual(before);
  });

  it('goes on where it was stopped', async () => {
    const manifests = await bucketOf('stopped', 30);
    const dependencies = await tableOf('resumed');
    let lastKey: string | undefined;
    const stopped = rebuildIndex(
      dependencies,
      options('stopped', {
        onProgress: (progress) => {
          lastKey = progress.lastKey as string;
          if (progress.manifests >= 16) throw new Error('stopped');
        },
      }),
    );
    await expect(stopped).rejects.toThrow('stopped');
    expect(lastKey).toBe(manifests.map(keyOf).toSorted()[15]);
    const rest = await rebuildIndex(dependencies, options('stopped', { startAfter: String(lastKey) }));
    expect(rest.manifests).toBe(14);
    const whole = await tableOf('at-once');
    await rebuildIndex(whole, options('stopped'));
    expect(await itemsOf('resumed')).toEqual(await itemsOf('at-once'));
  });
});

describe('npm run index:rebuild', () => {
  it('restores what can be read, and names what cannot', async () => {
    await bucketOf('cli', 12);
    const bad = makeManifest({ manifestVersion: 2 as 1 });
    const badKey = await putManifest(emulator.s3(HOME), 'cli', bad);
    await tableOf('cli');
    const { code, stdout, stderr } = await run('--bucket', 'cli', '--table', 'cli', '--parallel', '4');
    expect({ code, stderr }).toEqual({ code: 1, stderr: `cannot be read: ${badKey}\n` });
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toEqual({
      bucket: 'cli',
      table: 'cli',
      manifests: 13,
      restored: 12,
      deleted: 0,
      fates: 0,
      newer: 0,
      gone: 0,
      invalid: 1,
    });
    expect(existsSync(join(directory, '.local/index-rebuild/cli/cli.json'))).toBe(false);
  });

  it('goes on from its checkpoint, and keeps it when AWS fails', async () => {
    const manifests = await bucketOf('resumable', 10);
    await tableOf('resumable');
    const keys = manifests.map(keyOf).toSorted();
    const checkpoint = join(directory, 'checkpoint.json');
    const noted = JSON.stringify({ bucket: 'resumable', table: 'no-table', lastKey: keys[5] });
    writeFileSync(checkpoint, noted);
    const failed = await run('--bucket', 'resumable', '--table', 'no-table', '--checkpoint', checkpoint);
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stopped: .*; the next run goes on\n$/),
    });
    expect(existsSync(checkpoint)).toBe(true);
    const other = await run('--bucket', 'resumable', '--table', 'resumable', '--checkpoint', checkpoint);
    expect(other).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not the checkpoint of this'),
    });
    writeFileSync(checkpoint, noted.replace('no-table', 'resumable'));
    const resumed = await run('--bucket', 'resumable', '--table', 'resumable', '--checkpoint', checkpoint);
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ restored: 4 });
    expect(existsSync(checkpoint)).toBe(false);
  });

  it.each([
    [['--table', 't'], '--bucket is missing'],
    [['--bucket', 'b'], '--table is missing'],
    [['--bucket', 'b', '--table', 't', '--parallel', '0'], '--parallel 0: write 1 to 999'],
    [['--what'], "Unknown option '--what'"],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});
