/** Files in parts: what is interrupted goes on, and what arrives is what was measured. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
} from '@aws-sdk/client-s3';
import { recordingPrefix } from '../../../core/keys.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { UPLOADS_FILE } from '../../../recorder-image/src/storage/begun-uploads.ts';
import {
  compositeChecksum,
  digestFile,
  partBytesFor,
} from '../../../recorder-image/src/storage/multipart.ts';
import {
  FileChangedError,
  type UploadTarget,
  uploadRecording,
} from '../../../recorder-image/src/storage/uploader.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { REGION } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { useSpool } from './support.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const used = useSpool();

describe('digestFile', () => {
  it.each([
    ['nothing', 0, []],
    ['less than a part', 99, [99]],
    ['a part', 100, [100]],
    ['a little more', 101, [100, 1]],
    ['parts', 300, [100, 100, 100]],
    ['more than is read at once', 200_050, Array.from({ length: 2001 }, (_, i) => (i < 2000 ? 100 : 50))],
  ])('of %s', async (_what, bytes, sizes) => {
    const path = join(used.spool.directory, 'file');
    const content = randomBytes(bytes);
    writeFileSync(path, content);
    const digested = await digestFile(path, 100);
    expect(digested).toMatchObject({ bytes, sha256: createHash('sha256').update(content).digest('hex') });
    expect(digested.parts).toEqual(
      sizes.map((size, i) => ({
        number: i + 1,
        start: i * 100,
        bytes: size,
        sha256: createHash('sha256')
          .update(content.subarray(i * 100, i * 100 + size))
          .digest('base64'),
      })),
    );
  });
});

it('parts are as large as 10,000 of them must be', () => {
  expect(partBytesFor(5, 16 * MIB)).toBe(16 * MIB);
  expect(partBytesFor(160_000 * MIB, 16 * MIB)).toBe(16 * MIB);
  expect(partBytesFor(160_000 * MIB + 1, 16 * MIB)).toBe(17 * MIB);
});

describe('a recording with a large file', () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  let proxy: S3Proxy;
  const clients: { destroy(): void }[] = [];
  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), 'in-parts');
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());
  beforeEach(async () => {
    proxy = await startS3Proxy(emulator);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
  });

  /** Each call is a process of its own: nothing is remembered but what lies in the spool. */
  const target = (sizes: Partial<UploadTarget['multipart']> = {}): UploadTarget => {
    const s3 = proxy.client();
    clients.push(s3);
    return {
      s3,
      bucket: bucket.name,
      multipart: { aboveBytes: 512 * KIB, partBytes: 256 * KIB, parallel: 1, ...sizes },
    };
  };

  interface Recording {
    manifest: Manifest;
    audio: string;
    key: string;
    upload: (to?: UploadTarget) => Promise<void>;
  }

  /** With audio of five parts, the last of which is short. */
  function recording(bytes = 4 * 256 * KIB + 1000): Recording {
    const content = randomBytes(bytes);
    const audio = join(used.spool.directory, 'audio.wav');
    writeFileSync(audio, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const manifest = makeManifest({
      files: [{ name: 'audio.wav', role: 'audio', contentType: 'audio/wav', bytes, sha256 }],
    });
    const text = JSON.stringify(manifest);
    writeFileSync(join(used.spool.directory, 'manifest.json'), text);
    const ofManifest = {
      bytes: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
    };
    return {
      manifest,
      audio,
      key: `${recordingPrefix({ ...manifest, startedAt: new Date(manifest.startedAt) })}audio.wav`,
      upload: (to = target()) => uploadRecording(to, used.spool.directory, manifest, ofManifest),
    };
  }

  const sentParts = () => proxy.seen.flatMap(({ part }) => part ?? []);
  const uploadsLeft = async () => {
    const { Uploads = [] } = await bucket.s3.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
    return Uploads;
  };

  it('is in S3 as it was, with checksums of the parts and of the whole, and without reading anything there', async () => {
    const { manifest, audio, key, upload } = recording();
    await upload(target({ parallel: 3 }));
    await bucket.read(manifest.recordingId); // checks the bytes
    const head = await bucket.s3.send(
      new HeadObjectCommand({ Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' }),
    );
    expect(head).toMatchObject({
      ContentType: 'audio/wav',
      Metadata: { sha256: manifest.files[0]?.sha256 },
      ChecksumSHA256: compositeChecksum((await digestFile(audio, 256 * KIB)).parts),
    });
    expect(sentParts().sort()).toEqual([1, 2, 3, 4, 5]);
    expect(proxy.seen.filter(({ method }) => method === 'GET' || method === 'HEAD')).toEqual([]);
  });

  it('says the SHA-256 of a small one too', async () => {
    const { manifest, key, upload } = recording(1000);
    await upload();
    const head = await bucket.s3.send(new HeadObjectCommand({ Bucket: bucket.name, Key: key }));
    expect(head.Metadata).toEqual({ sha256: manifest.files[0]?.sha256 });
    expect(sentParts()).toEqual([]);
  });

  it('goes on where the connection was cut, after a restart too', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ part }) => (part === 3 ? { cutAfterBytes: 100 * KIB } : undefined);
    await expect(upload()).rejects.toThrow();
    expect(sentParts()).toEqual([1, 2, 3]);
    expect(await bucket.keys()).not.toContainEqual(expect.stringContaining(manifest.recordingId));

    proxy.fault = () => undefined;
    proxy.seen = [];
    await upload();
    expect(sentParts()).toEqual([3, 4, 5]);
    expect(proxy.seen.filter(({ method }) => method === 'GET').every(({ uploadId }) => uploadId)).toBe(true);
    await bucket.read(manifest.recordingId);
    expect(await uploadsLeft()).toEqual([]);
  });

  it('keeps what other parts have reached when one fails', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ part }) => (part === 1 ? { refuseWith: 500 } : undefined);
    await expect(upload(target({ parallel: 5 }))).rejects.toThrow();
    proxy.fault = () => undefined;
    proxy.seen = [];
    await upload();
    expect(sentParts()).toEqual([1]);
    await bucket.read(manifest.recordingId);
  });

  it('is not sent again when only the rest has failed', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ path }) => (path.endsWith('manifest.json') ? { refuseWith: 503 } : undefined);
    await expect(upload()).rejects.toThrow();
    proxy.fault = () => undefined;
    proxy.seen = [];
    await upload();
    expect(proxy.seen).toEqual([{ method: 'PUT', path: expect.stringContaining('manifest.json') }]);
    await bucket.read(manifest.recordingId);
  });

  it('begins anew when S3 does not know the upload any more', async () => {
    const { manifest, key, upload } = recording();
    proxy.fault = ({ part }) => (part === 3 ? { refuseWith: 500 } : undefined);
    await expect(upload()).rejects.toThrow();
    const [begun] = await uploadsLeft();
    await bucket.s3.send(
      new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: begun?.UploadId }),
    );
    proxy.fault = () => undefined;
    proxy.seen = [];
    await upload();
    expect(sentParts()).toEqual([1, 2, 3, 4, 5]);
    await bucket.read(manifest.recordingId);
  });

  it('is there, whether the answer to its completion arrived or not', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ method, uploadId }) =>
      method === 'POST' && uploadId ? { loseAnswer: true } : undefined;
    await expect(upload()).rejects.toThrow();
    proxy.fault = () => undefined;
    await upload();
    await bucket.read(manifest.recordingId);
    expect(await uploadsLeft()).toEqual([]);
  });

  it('leaves no upload behind that was begun in another way', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ part }) => (part === 3 ? { refuseWith: 500 } : undefined);
    await expect(upload()).rejects.toThrow();
    expect(await uploadsLeft()).toHaveLength(1);
    proxy.fault = () => undefined;
    await upload(target({ partBytes: 300 * KIB }));
    await bucket.read(manifest.recordingId);
    expect(await uploadsLeft()).toEqual([]);
  });

  it('is finished even if that cannot be aborted, and tells of it', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ part }) => (part === 3 ? { refuseWith: 500 } : undefined);
    await expect(upload()).rejects.toThrow();
    const [begun] = await uploadsLeft();
    proxy.fault = ({ method }) => (method === 'DELETE' ? { refuseWith: 403 } : undefined);
    const orphans: string[] = [];
    await upload({
      ...target({ partBytes: 300 * KIB }),
      onOrphan: ({ uploadId }) => orphans.push(uploadId),
    });
    await bucket.read(manifest.recordingId);
    expect(orphans).toEqual([begun?.UploadId]);
    await bucket.s3.send(
      new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: begun?.Key, UploadId: begun?.UploadId }),
    );
  });

  it.each(['not written', 'damaged'])('does not need its notes: %s', async (how) => {
    const { manifest, upload } = recording();
    proxy.fault = ({ part }) => (part === 3 ? { refuseWith: 500 } : undefined);
    await expect(upload()).rejects.toThrow();
    const notes = join(used.spool.directory, UPLOADS_FILE);
    writeFileSync(notes, how === 'damaged' ? readFileSync(notes, 'utf8').slice(0, 20) : '[]');
    proxy.fault = () => undefined;
    await upload();
    await bucket.read(manifest.recordingId);
    const [lost] = await uploadsLeft(); // which the bucket's lifecycle rule removes
    await bucket.s3.send(
      new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: lost?.Key, UploadId: lost?.UploadId }),
    );
  });

  it('is refused if S3 has put it together otherwise', async () => {
    const { manifest, upload } = recording();
    proxy.fault = ({ method, uploadId }) =>
      method === 'POST' && uploadId
        ? { rewrite: (answer) => answer.replace(/(<ChecksumSHA256>)[^<]+/, '$1AAAA-5') }
        : undefined;
    await expect(upload()).rejects.toThrow(
      /S3 has put .*audio.wav together otherwise: checksum AAAA-5, not /,
    );
    expect(await bucket.keys()).not.toContainEqual(
      expect.stringMatching(`${manifest.recordingId}/manifest.json`),
    );
  });

  it('gets there through a line that is slower than its patience, as long as it carries something', async () => {
    const { manifest, upload } = recording(16 * MIB);
    const stallMs = 4_000; // which a busy machine does not reach by itself
    const s3 = proxy.client({ stallMs });
    clients.push(s3);
    proxy.fault = ({ path }) => (path.endsWith('audio.wav') ? { bytesPerTick: 52 * KIB } : undefined);
    const startedAt = performance.now();
    await upload({ s3, bucket: bucket.name });
    expect(performance.now() - startedAt).toBeGreaterThan(stallMs);
    await bucket.read(manifest.recordingId);
  });

  it('is given up where the line carries nothing', async () => {
    const { upload } = recording(16 * MIB);
    const s3 = proxy.client({ stallMs: 200 });
    clients.push(s3);
    proxy.fault = () => ({ hang: true });
    await expect(upload({ s3, bucket: bucket.name })).rejects.toThrow('timed out after 200 ms of inactivity');
  });

  it.each([
    ['large', 4 * 256 * KIB + 1000],
    ['small', 1000],
  ])('is refused if it changed, where the file is %s', async (_what, bytes) => {
    const { audio, manifest, upload } = recording(bytes);
    const content = readFileSync(audio);
    content[500] = (content[500] as number) ^ 1;
    writeFileSync(audio, content);
    await expect(upload()).rejects.toThrow(FileChangedError);
    writeFileSync(audio, content.subarray(1));
    await expect(upload()).rejects.toThrow(
      `${audio} has changed since its manifest was written: ${bytes} bytes with SHA-256 ${manifest.files[0]?.sha256} then, ${bytes - 1} bytes now`,
    );
    expect(await bucket.keys()).not.toContainEqual(expect.stringContaining(manifest.recordingId));
  });
});
