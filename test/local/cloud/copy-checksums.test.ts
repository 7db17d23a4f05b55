/** What S3 says of checksums when it copies, and the emulator with it (`local/cloud/copy_checksums.py`). */
import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';

const Bucket = 'copies';
const BODY = Buffer.from('what was said');
const digest = (algorithm: 'sha1' | 'sha256', body: Buffer) =>
  createHash(algorithm).update(body).digest('base64');

let emulator: TestEmulator;
let s3: S3Client;

beforeAll(async () => {
  emulator = await startTestEmulator();
  s3 = emulator.s3('us-east-1');
  await s3.send(new CreateBucketCommand({ Bucket }));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const put = (Key: string, more: Partial<PutObjectCommandInput>) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body: BODY, ...more }));

async function copy(key: string, more: Partial<CopyObjectCommandInput> = {}) {
  const Key = `${key}-copy`;
  const { CopyObjectResult } = await s3.send(
    new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${key}`, ...more }),
  );
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
  return { CopyObjectResult, head };
}

describe('a copy in the emulator', () => {
  it("has the source's checksum, and says so", async () => {
    await put('checked', { ChecksumSHA256: digest('sha256', BODY) });
    const { CopyObjectResult, head } = await copy('checked');
    const checksum = { ChecksumSHA256: digest('sha256', BODY), ChecksumType: 'FULL_OBJECT' };
    expect(CopyObjectResult).toMatchObject(checksum);
    expect(head).toMatchObject(checksum);
  });

  it('has the checksum that is asked for', async () => {
    await put('other', { ChecksumSHA1: digest('sha1', BODY) });
    const { CopyObjectResult, head } = await copy('other', { ChecksumAlgorithm: 'SHA256' });
    expect(CopyObjectResult).toMatchObject({
      ChecksumSHA256: digest('sha256', BODY),
      ChecksumType: 'FULL_OBJECT',
    });
    expect(CopyObjectResult).not.toHaveProperty('ChecksumSHA1');
    expect(head).toMatchObject({ ChecksumSHA256: digest('sha256', BODY) });
  });

  it('is computed as a whole, if the source was uploaded by parts', async () => {
    const upload = { Bucket, Key: 'parts' };
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ ...upload, ChecksumAlgorithm: 'SHA256' }),
    );
    const part = await s3.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: BODY }));
    const Parts = [{ PartNumber: 1, ETag: part.ETag, ChecksumSHA256: digest('sha256', BODY) }];
    const whole = await s3.send(
      new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts } }),
    );
    expect(whole.ChecksumSHA256).not.toBe(digest('sha256', BODY)); // over its parts
    const { CopyObjectResult } = await copy('parts', { ChecksumAlgorithm: 'SHA256' });
    expect(CopyObjectResult).toMatchObject({
      ChecksumSHA256: digest('sha256', BODY),
      ChecksumType: 'FULL_OBJECT',
    });
  });

  it('fails as ever without a source', async () => {
    await expect(copy('nothing', { ChecksumAlgorithm: 'SHA256' })).rejects.toMatchObject({
      name: 'NoSuchKey',
    });
  });
});
