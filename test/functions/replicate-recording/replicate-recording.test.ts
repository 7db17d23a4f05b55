/** Two regions' buckets in the emulator, which refuses requests that are signed for another region than the bucket's. */
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { copyKey, recordingCopySchema, replicaCopyItem } from '../../../core/index-items.ts';
import { InvalidManifestError, type Manifest } from '../../../core/manifest.ts';
import {
  COPY_SIZES,
  type CopyOptions,
  type CopySizes,
  copyObject,
} from '../../../functions/replicate-recording/copy-object.ts';
import {
  CopyMismatchError,
  ForeignCopyJobError,
  RecordingKeepsChangingError,
  type ReplicateDependencies,
  replicateRecording,
  SourceFileMissingError,
} from '../../../functions/replicate-recording/replicate-recording.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { NIGHTLY, ruleTo } from '../../helpers/replication-rules.ts';
import {
  bytesOf,
  manifestOf,
  type StoredRecording,
  sha256Hex,
  storeRecording,
} from '../../helpers/stored-recording.ts';

const HOME = 'us-east-1';
const TARGET = 'us-west-2';
const TABLE = 'index';
const KEY_ARN = `arn:aws:kms:${TARGET}:000000000000:alias/siprec-recordings`;
const MIB = 1024 * 1024;
const bucketIn = (region: string) => `recordings-${region}`;
const NOW = new Date('2026-11-23T10:01:07.000Z'); // 7 s after the end of the recordings

let emulator: TestEmulator;
let home: S3Client;
let target: S3Client;
let table: DynamoDBDocumentClient;
let dependencies: ReplicateDependencies;

beforeAll(async () => {
  emulator = await startTestEmulator();
  home = emulator.s3(HOME);
  target = emulator.s3(TARGET);
  table = emulator.documents(HOME);
  await createIndexTable(emulator.dynamo(HOME), TABLE);
  for (const region of [HOME, TARGET])
    await emulator.s3(region).send(new CreateBucketCommand({ Bucket: bucketIn(region) }));
  dependencies = {
    s3For: (region) => (region === HOME ? home : target),
    table,
    tableName: TABLE,
    homeRegion: HOME,
    places: {
      [HOME]: {
        bucket: bucketIn(HOME),
        kmsKeyId: 'arn:aws:kms:us-east-1:000000000000:alias/siprec-recordings',
      },
      [TARGET]: { bucket: bucketIn(TARGET), kmsKeyId: KEY_ARN },
    },
    rules: [ruleTo(TARGET)],
    now: () => NOW,
  };
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const store = (
  ...args: Parameters<typeof storeRecording> extends [unknown, unknown, ...infer Rest] ? Rest : never
) => storeRecording(home, bucketIn(HOME), ...args);

const replicate = (key: string, given: Partial<ReplicateDependencies> = {}) =>
  replicateRecording({ ...dependencies, ...given }, { key, target: TARGET });

const atTarget = async (Key: string): Promise<Buffer> => {
  const { Body } = await target.send(new GetObjectCommand({ Bucket: bucketIn(TARGET), Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
};
const headAtTarget = (Key: string) =>
  target.send(new HeadObjectCommand({ Bucket: bucketIn(TARGET), Key, ChecksumMode: 'ENABLED' }));
const putAtTarget = (Key: string, Body: Buffer) =>
  target.send(new PutObjectCommand({ Bucket: bucketIn(TARGET), Key, Body }));
const deleteAtHome = (Key: string) => home.send(new DeleteObjectCommand({ Bucket: bucketIn(HOME), Key }));

async function keysAtTarget({ key }: StoredRecording): Promise<string[]> {
  const Prefix = key.slice(0, key.lastIndexOf('/') + 1);
  const { Contents = [] } = await target.send(new ListObjectsV2Command({ Bucket: bucketIn(TARGET), Prefix }));
  return Contents.map(({ Key }) => Key as string);
}

const copyOf = async (recordingId: string) => {
  const { Item } = await table.send(
    new GetCommand({ TableName: TABLE, Key: copyKey(recordingId, TARGET), ConsistentRead: true }),
  );
  return Item && recordingCopySchema.parse(Item);
};

/** An S3 client that does something just before the first request that `when` picks. */
function interfering(
  client: S3Client,
  when: (command: string, key: string) => boolean,
  act: () => Promise<unknown>,
): S3Client {
  const wrapped = Object.create(client) as S3Client;
  let done = false;
  Object.defineProperty(wrapped, 'send', {
    value: async (command: { constructor: { name: string }; input: { Key: string } }) => {
      if (!done && when(command.constructor.name, command.input.Key)) {
        done = true;
        await act();
      }
      return client.send(command as never);
    },
  });
  return wrapped;
}

/** An S3 client that tells what it was sent, and whose answers to copies get more than the emulator gives. */
function recorded(
  client: S3Client,
  answerOf: (input: { Key: string }) => Promise<object> = async () => ({}),
): { commands: string[]; client: S3Client } {
  const commands: string[] = [];
  const wrapped = Object.create(client) as S3Client;
  Object.defineProperty(wrapped, 'send', {
    value: async (command: { constructor: { name: string }; input: { Key: string } }) => {
      const { name } = command.constructor;
      commands.push(name);
      const answer = await client.send(command as never);
      return name === 'CopyObjectCommand'
        ? { ...(answer as object), ...(await answerOf(command.input)) }
        : answer;
    },
  });
  return { commands, client: wrapped };
}

describe('a copy', () => {
  it('has every file under its key, with type, key and origin, and an item that says so', async () => {
    const recording = await store();
    const { manifest, keys } = recording;
    expect(await replicate(recording.key)).toEqual({
      outcome: 'copied',
      copiedBytes: 10_500 + JSON.stringify(manifest).length,
      lagMs: 7_000,
    });
    expect((await keysAtTarget(recording)).sort()).toEqual(keys.toSorted());
    for (const [index, type] of ['audio/wav', 'application/rs-metadata+xml', 'application/json'].entries()) {
      const content = await atTarget(keys[index] as string);
      const sha256 = manifest.files[index]?.sha256 ?? sha256Hex(Buffer.from(JSON.stringify(manifest)));
      expect(sha256Hex(content)).toBe(sha256);
      expect(await headAtTarget(keys[index] as string)).toMatchObject({
        ContentType: type,
        Metadata: { sha256, 'origin-region': HOME },
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: KEY_ARN,
      });
    }
    expect(await copyOf(manifest.recordingId)).toEqual({
      recordingId: manifest.recordingId,
      revision: 1,
      region: TARGET,
      bucket: bucketIn(TARGET),
      prefix: recording.key.replace('manifest.json', ''),
      bytes: 10_500,
      role: 'replica',
      state: 'verified',
      verifiedAt: NOW.toISOString(),
      manifestSha256: sha256Hex(Buffer.from(JSON.stringify(manifest))),
    });
  });

  it('is made once, however often and however much at once it is asked for', async () => {
    const recording = await store();
    await Promise.all(Array.from({ length: 4 }, () => replicate(recording.key)));
    const before = await Promise.all(
      recording.keys.map(async (key) => (await headAtTarget(key)).LastModified),
    );
    expect(await replicate(recording.key)).toEqual({
      outcome: 'alreadyCopied',
      copiedBytes: 0,
      lagMs: 7_000,
    });
    expect(
      await Promise.all(recording.keys.map(async (key) => (await headAtTarget(key)).LastModified)),
    ).toEqual(before);
    expect(await copyOf(recording.manifest.recordingId)).toMatchObject({ state: 'verified' });
  });

  it('that has a wrong file gets that one anew, and nothing else', async () => {
    const recording = await store();
    const [audio, metadata] = recording.keys as [string, string];
    await replicate(recording.key);
    await putAtTarget(metadata, bytesOf(500, 99)); // as long as the right one
    const untouched = (await headAtTarget(audio)).LastModified;
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied', copiedBytes: 500 });
    expect(sha256Hex(await atTarget(metadata))).toBe(recording.manifest.files[1]?.sha256);
    expect((await headAtTarget(audio)).LastModified).toEqual(untouched);
  });

  it('that was begun is completed: without a manifest there, only large files are looked for', async () => {
    const recording = await store();
    const [, metadata, manifest] = recording.keys as [string, string, string];
    await replicate(recording.key);
    await putAtTarget(metadata, bytesOf(500, 99));
    await target.send(new DeleteObjectCommand({ Bucket: bucketIn(TARGET), Key: manifest }));
    const { commands, client } = recorded(target);
    const s3For = (region: string) => (region === HOME ? home : client);
    const sizes = { ...COPY_SIZES, lookFirstBytes: 10_000 };
    expect(await replicate(recording.key, { s3For, sizes })).toMatchObject({
      outcome: 'copied',
      copiedBytes: 500 + JSON.stringify(recording.manifest).length, // the audio was there
    });
    expect(commands.filter((command) => command === 'CopyObjectCommand')).toHaveLength(2);
    expect(sha256Hex(await atTarget(metadata))).toBe(recording.manifest.files[1]?.sha256);
    expect(await keysAtTarget(recording)).toHaveLength(3);
  });

  it('is proved by the checksum in the answer to the copy, where S3 gives it', async () => {
    const recording = await store();
    const { commands, client } = recorded(target, async ({ Key }) => {
      const { ChecksumSHA256 } = await headAtTarget(Key);
      return { CopyObjectResult: { ChecksumSHA256, ChecksumType: 'FULL_OBJECT' } };
    });
    const s3For = (region: string) => (region === HOME ? home : client);
    expect(await replicate(recording.key, { s3For })).toMatchObject({ outcome: 'copied' });
    expect(commands).toEqual(Array(3).fill('CopyObjectCommand'));
    expect(await copyOf(recording.manifest.recordingId)).toMatchObject({ state: 'verified' });
  });

  it('of a recording that is not new is looked for first, if the index knows of none: it may be the index that is lost', async () => {
    const recording = await store();
    await replicate(recording.key);
    await table.send(
      new DeleteCommand({ TableName: TABLE, Key: copyKey(recording.manifest.recordingId, TARGET) }),
    );
    const now = () => new Date(Date.now() + 5 * 60_000);
    expect(await replicate(recording.key, { now })).toMatchObject({ outcome: 'alreadyCopied' });
    expect(await copyOf(recording.manifest.recordingId)).toMatchObject({ state: 'verified' });
  });

  it('of a new recording that the index has missed is made once more', async () => {
    const recording = await store();
    await replicate(recording.key);
    await table.send(
      new DeleteCommand({ TableName: TABLE, Key: copyKey(recording.manifest.recordingId, TARGET) }),
    );
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied' });
    expect(await keysAtTarget(recording)).toHaveLength(3);
    expect(await copyOf(recording.manifest.recordingId)).toMatchObject({ state: 'verified' });
  });

  it('is none when the answer has another checksum, nor is one of checksums taken for it', async () => {
    const wrong = { ChecksumSHA256: Buffer.alloc(32).toString('base64') };
    const composite = {
      ChecksumSHA256: `${Buffer.alloc(32).toString('base64')}-1`,
      ChecksumType: 'COMPOSITE',
    };
    const replicateWith = (key: string, CopyObjectResult: object) => {
      const { client } = recorded(target, async () => ({ CopyObjectResult }));
      return replicate(key, { s3For: (region: string) => (region === HOME ? home : client) });
    };
    const recording = await store();
    await expect(replicateWith(recording.key, wrong)).rejects.toThrow(CopyMismatchError);
    expect(await copyOf(recording.manifest.recordingId)).toBeUndefined();
    expect(await replicateWith(recording.key, composite)).toMatchObject({ outcome: 'copied' });
    const damaged = await store({ audio: bytesOf(10_000, 3) }, { files: manifestOf({}).files });
    await expect(replicateWith(damaged.key, composite)).rejects.toThrow(CopyMismatchError);
  });

  it('is proved by reading where S3 has no checksum of the whole: a source uploaded by parts', async () => {
    const audio = bytesOf(6 * MIB);
    const recording = await store({ audio });
    const object = { Bucket: bucketIn(HOME), Key: recording.keys[0] as string };
    const { UploadId } = await home.send(
      new CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: 'SHA256', ChecksumType: 'COMPOSITE' }),
    );
    const Parts = [];
    for (const [index, Body] of [audio.subarray(0, 5 * MIB), audio.subarray(5 * MIB)].entries()) {
      const part = { ...object, UploadId, PartNumber: index + 1, Body, ChecksumAlgorithm: 'SHA256' } as const;
      const { ETag, ChecksumSHA256 } = await home.send(new UploadPartCommand(part));
      Parts.push({ ETag, ChecksumSHA256, PartNumber: index + 1 });
    }
    await home.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }));
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied' });
    expect(sha256Hex(await atTarget(object.Key))).toBe(recording.manifest.files[0]?.sha256);
    await putAtTarget(object.Key, bytesOf(6 * MIB, 1));
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied', copiedBytes: 6 * MIB });
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'alreadyCopied' });
  });

  it('of an object over the limit of one request goes by parts', async () => {
    const audio = bytesOf(11 * MIB + 1);
    const recording = await store({ audio });
    const sizes = { ...COPY_SIZES, singleCopyBytes: 6 * MIB, partBytes: 5 * MIB };
    expect(await replicate(recording.key, { sizes })).toMatchObject({ outcome: 'copied' });
    const head = await headAtTarget(recording.keys[0] as string);
    expect(head).toMatchObject({
      ETag: expect.stringMatching(/-3"$/),
      ContentType: 'audio/wav',
      Metadata: { 'origin-region': HOME },
      SSEKMSKeyId: KEY_ARN,
    });
    expect((await atTarget(recording.keys[0] as string)).equals(audio)).toBe(true);
    expect(await replicate(recording.key, { sizes })).toMatchObject({ outcome: 'alreadyCopied' });
  });

  it('by parts that fails leaves no upload behind', async () => {
    const recording = await store({ audio: bytesOf(11 * MIB) });
    const [audio] = recording.keys as [string];
    const broken = interfering(
      target,
      (command) => command === 'UploadPartCopyCommand',
      () => deleteAtHome(audio),
    );
    const sizes = { ...COPY_SIZES, singleCopyBytes: 6 * MIB, partBytes: 5 * MIB };
    const s3For = (region: string) => (region === HOME ? home : broken);
    await expect(replicate(recording.key, { sizes, s3For })).rejects.toThrow(SourceFileMissingError);
    const { Uploads = [] } = await target.send(new ListMultipartUploadsCommand({ Bucket: bucketIn(TARGET) }));
    expect(Uploads).toEqual([]);
  });

  it('of a recording without files is its manifest', async () => {
    const recording = await store({}, { files: [], audio: undefined, status: 'partial' });
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied' });
    expect(await keysAtTarget(recording)).toEqual([recording.key]);
  });
});

describe('the rules of a target', () => {
  const rules = [ruleTo(TARGET, NIGHTLY)];
  const at = (time: string) => ({ rules, now: () => new Date(`2026-11-${time}Z`) });

  it('leave a job for which the window has closed to the sweep', async () => {
    const recording = await store();
    expect(await replicate(recording.key, at('24T06:00:00'))).toEqual({
      outcome: 'outsideWindow',
      copiedBytes: 0,
    });
    expect(await keysAtTarget(recording)).toEqual([]);
    expect(await copyOf(recording.manifest.recordingId)).toBeUndefined();
  });

  it('let it be copied within the window, and count its lag from the opening', async () => {
    const { key } = await store(); // ended at 10:01
    expect(await replicate(key, at('23T22:00:30'))).toMatchObject({ outcome: 'copied', lagMs: 30_000 });
  });

  it('let what is begun within the window be completed', async () => {
    const { key } = await store();
    const times = ['24T05:59:59', '24T06:00:01'].map((time) => new Date(`2026-11-${time}Z`));
    const now = () => (times.length > 1 ? times.shift() : times[0]) as Date;
    expect(await replicate(key, { rules, now })).toMatchObject({ outcome: 'copied' });
  });

  it('leave out what their filters leave out by now', async () => {
    const recording = await store();
    const filters = (tenant: string) => ({ rules: [ruleTo(TARGET, { filters: { tenants: [tenant] } })] });
    expect(await replicate(recording.key, filters('other'))).toEqual({ outcome: 'unwanted', copiedBytes: 0 });
    expect(await keysAtTarget(recording)).toEqual([]);
    expect(await replicate(recording.key, filters('acme'))).toMatchObject({ outcome: 'copied' });
  });

  it('have no lag for a backfill, and no job for a target without a rule', async () => {
    const { key } = await store();
    const job = { key, target: TARGET, backfill: true } as const;
    expect(await replicateRecording(dependencies, job)).not.toHaveProperty('lagMs');
    await expect(replicate(key, { rules: [] })).rejects.toThrow(ForeignCopyJobError);
  });
});

describe('what an object is at the target', () => {
  /** Copies with these options, and gives what the request that makes the object says of lock and tags. */
  const copyWith = async (sizes: CopySizes, options: Partial<CopyOptions>) => {
    const client = emulator.s3(TARGET);
    const sent: Record<string, string>[] = [];
    client.middlewareStack.add(
      (next) => (args) => {
        sent.push((args.request as { headers: Record<string, string> }).headers);
        return next(args);
      },
      { step: 'finalizeRequest' },
    );
    const { keys, manifest } = await store({ audio: bytesOf(11 * MIB) });
    const [file] = manifest.files as [Manifest['files'][0]];
    const key = keys[0] as string;
    const place = { bucket: 'locked', kmsKeyId: KEY_ARN };
    const given = { sourceBucket: bucketIn(HOME), origin: HOME, sizes, ...options };
    await copyObject({ s3: client, place }, { ...file, key }, given);
    const said = Object.entries(sent[0] ?? {}).filter(([name]) =>
      /^x-amz-(object-lock-|tagging$)/.test(name),
    );
    return Object.fromEntries(said);
  };
  beforeAll(async () => {
    await target.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  });

  // The emulator forgets them for copies: what is sent is what can be seen.
  it.each([
    ['whole', COPY_SIZES],
    ['by parts', { ...COPY_SIZES, singleCopyBytes: 6 * MIB, partBytes: 5 * MIB }],
  ])('is said explicitly: retention, hold and tags, of one copied %s', async (_, sizes) => {
    const retainUntil = new Date('2030-01-02T03:04:05.000Z');
    const protection = { mode: 'GOVERNANCE', retainUntil, legalHold: true } as const;
    expect(await copyWith(sizes, { tags: { tenant: 'a&b' }, protection })).toEqual({
      'x-amz-object-lock-mode': 'GOVERNANCE',
      'x-amz-object-lock-retain-until-date': expect.stringMatching(/^2030-01-02T03:04:05/),
      'x-amz-object-lock-legal-hold': 'ON',
      'x-amz-tagging': 'tenant=a%26b',
    });
  });

  it('is neither locked nor tagged where nothing is said', async () => {
    expect(await copyWith(COPY_SIZES, {})).toEqual({});
  });
});

describe('a recording that changes at home', () => {
  it('is left alone when it is gone, and so is what the target holds of it', async () => {
    const recording = await store();
    await replicate(recording.key);
    await deleteAtHome(recording.key);
    expect(await replicate(recording.key)).toEqual({ outcome: 'gone', copiedBytes: 0 });
    expect(await keysAtTarget(recording)).toHaveLength(3);
  });

  it('is copied in its newest revision, which an older item does not hold up', async () => {
    const first = await store();
    const { recordingId } = first.manifest;
    await replicate(first.key);
    const second = await store({ audio: bytesOf(20_000, 5) }, { recordingId, revision: 2 });
    expect(await replicate(first.key)).toMatchObject({ outcome: 'copied' });
    expect(sha256Hex(await atTarget(second.keys[0] as string))).toBe(second.manifest.files[0]?.sha256);
    expect(await copyOf(recordingId)).toMatchObject({ revision: 2, bytes: 20_500 });
  });

  it.each([
    ['before a file is copied', 'audio.wav'],
    ['before the manifest is copied', 'manifest.json'],
  ])('%s is copied as it is in the end', async (_, file) => {
    const first = await store();
    const { recordingId } = first.manifest;
    const rewritten = interfering(
      target,
      (command, key) => command === 'CopyObjectCommand' && key.endsWith(file),
      () => store({ audio: bytesOf(20_000, 5) }, { recordingId, revision: 2 }),
    );
    const s3For = (region: string) => (region === HOME ? home : rewritten);
    expect(await replicate(first.key, { s3For })).toMatchObject({ outcome: 'copied' });
    const manifest = JSON.parse((await atTarget(first.key)).toString());
    expect(manifest.revision).toBe(2);
    expect(sha256Hex(await atTarget(first.keys[0] as string))).toBe(manifest.files[0].sha256);
    expect(await copyOf(recordingId)).toMatchObject({ revision: 2 });
  });

  it('never replaces the item of a newer copy', async () => {
    const { manifest, key } = await store();
    const newer = replicaCopyItem(
      { ...manifest, revision: 9 },
      {
        region: TARGET,
        bucket: bucketIn(TARGET),
        verifiedAt: NOW.toISOString(),
        manifestSha256: 'c'.repeat(64),
      },
    );
    await table.send(new PutCommand({ TableName: TABLE, Item: newer }));
    await expect(replicate(key)).rejects.toThrow(RecordingKeepsChangingError);
    expect(await copyOf(manifest.recordingId)).toMatchObject({ revision: 9, manifestSha256: 'c'.repeat(64) });
  });
});

describe('what cannot be copied', () => {
  it('is no recording of this region, or has a target that is not in the deployment', async () => {
    const { key } = await store();
    const elsewhere = key.replace(HOME, TARGET);
    for (const job of [
      { key: elsewhere, target: TARGET },
      { key: elsewhere, target: HOME },
      { key, target: HOME },
      { key, target: 'eu-west-1' },
    ])
      await expect(replicateRecording(dependencies, job)).rejects.toThrow(ForeignCopyJobError);
  });

  it('has a file that is missing at home: no manifest at the target, no item', async () => {
    const recording = await store();
    await deleteAtHome(recording.keys[1] as string);
    await expect(replicate(recording.key)).rejects.toThrow(SourceFileMissingError);
    expect(await keysAtTarget(recording)).toEqual([recording.keys[0]]);
    expect(await copyOf(recording.manifest.recordingId)).toBeUndefined();
  });

  it('has a file that is not what the manifest says: no manifest at the target, no item', async () => {
    const manifest = manifestOf({});
    const recording = await store({ audio: bytesOf(10_000, 3) }, { files: manifest.files });
    await expect(replicate(recording.key)).rejects.toThrow(
      expect.objectContaining({
        name: CopyMismatchError.name,
        message: expect.stringContaining(manifest.files[0]?.sha256 as string),
      }),
    );
    expect(await keysAtTarget(recording)).not.toContain(recording.key);
    expect(await copyOf(recording.manifest.recordingId)).toBeUndefined();
  });

  it('has a manifest that this version cannot read', async () => {
    const { key } = await store({}, { manifestVersion: 2 as 1 });
    await expect(replicate(key)).rejects.toThrow(InvalidManifestError);
  });

  it('has a target or an index that refuses: the error goes back to the queue, and a later try succeeds', async () => {
    const recording = await store();
    const places = { ...dependencies.places, [TARGET]: { bucket: 'no-bucket', kmsKeyId: KEY_ARN } };
    await expect(replicate(recording.key, { places })).rejects.toMatchObject({ name: 'NoSuchBucket' });
    await expect(replicate(recording.key, { tableName: 'no-table' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    expect(await copyOf(recording.manifest.recordingId)).toBeUndefined();
    // Without the index nobody knows whether the recording is deleted: nothing was copied.
    expect(await replicate(recording.key)).toMatchObject({ outcome: 'copied' });
    expect(await copyOf(recording.manifest.recordingId)).toMatchObject({ state: 'verified' });
  });
});
