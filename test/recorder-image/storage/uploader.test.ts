/** Uploads use their connections again, also where the answer comes before the end of the file has been seen. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { withFileBody } from '../../../recorder-image/src/storage/file-body.ts';
import { uploadRecording } from '../../../recorder-image/src/storage/uploader.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { HOST, REGION } from '../../helpers/recorder.ts';
import { useSpool } from './support.ts';

const RECORDINGS = 100;
/** As much as is read from a file at once: that it was all takes another read. */
const BYTES = 64 * 1024;

const used = useSpool();
let server: Server;
let s3: S3Client;
let connections = 0;

beforeEach(async () => {
  connections = 0;
  server = createServer((request, response) => {
    let left = Number(request.headers['content-length']);
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left === 0) response.writeHead(200, { ETag: '"example"' }).end();
    });
  });
  server.on('connection', () => connections++);
  server.listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const credentials = { accessKeyId: 'example', secretAccessKey: 'example' };
  s3 = new S3Client({
    endpoint: `http://${HOST}:${port}`,
    region: REGION,
    credentials,
    forcePathStyle: true,
  });
});
afterEach(async () => {
  s3.destroy();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

it('uses few connections for many uploads', async () => {
  const content = Buffer.alloc(BYTES, 'x');
  const file = { bytes: BYTES, sha256: createHash('sha256').update(content).digest('hex') };
  for (const name of ['audio.wav', 'manifest.json']) writeFileSync(join(used.spool.directory, name), content);
  const manifest = makeManifest({
    files: [{ name: 'audio.wav', role: 'audio', contentType: 'audio/wav', ...file }],
  });
  for (let recording = 0; recording < RECORDINGS; recording++)
    await uploadRecording({ s3, bucket: 'example' }, used.spool.directory, manifest, file);
  expect(connections).toBeLessThanOrEqual(3);
});

it('says what is wrong with a file that cannot be read, and lets go of the request', async () => {
  const directory = join(used.spool.directory, 'audio.wav');
  mkdirSync(directory);
  const { size: bytes } = statSync(directory);
  const manifest = makeManifest({
    files: [{ name: 'audio.wav', role: 'audio', contentType: 'audio/wav', bytes, sha256: '0'.repeat(64) }],
  });
  const uploading = uploadRecording({ s3, bucket: 'example' }, used.spool.directory, manifest, {
    bytes: 1,
    sha256: '0'.repeat(64),
  });
  await expect(uploading).rejects.toMatchObject({ code: 'EISDIR' });
});

it('survives a file that turns out to be gone when its request has failed already', async () => {
  const closed = Promise.withResolvers<void>();
  const sending = withFileBody(join(used.spool.directory, 'gone.wav'), {}, undefined, async (body) => {
    body.once('close', closed.resolve);
    throw new Error('connection refused');
  });
  await expect(sending).rejects.toThrow('connection refused');
  await closed.promise;
});
