/** A way to the emulator's S3 that is as bad as a test wants it: cut, silent, refusing, or slow. */
import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { HOST, REGION } from './recorder.ts';

export interface SeenRequest {
  method: string;
  /** Bucket and key. */
  path: string;
  /** Of a multipart upload. */
  uploadId?: string;
  part?: number;
}

export type Fault =
  /** The connection breaks when so much of the body has come. */
  | { cutAfterBytes: number }
  /** Nothing is read and nothing is answered. */
  | { hang: true }
  | { refuseWith: number }
  /** So much of the body is read every 20 ms. */
  | { bytesPerTick: number }
  /** All goes well, but for what the client hears of it. */
  | { rewrite: (answer: string) => string }
  | { loseAnswer: true };

const TICK_MS = 20;

export interface S3Proxy {
  endpoint: string;
  /** What happens to a request; undefined for nothing. */
  fault: (request: SeenRequest) => Fault | undefined;
  /** In the order of their arrival. */
  seen: SeenRequest[];
  /** How many of them the emulator has answered, as far as no fault came between. */
  answered: number;
  /** A client that uses it; the caller destroys it. */
  client: (options?: { stallMs?: number }) => S3Client;
  close: () => Promise<void>;
}

/** Starts one in front of an emulator. */
export async function startS3Proxy(emulator: {
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}): Promise<S3Proxy> {
  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const seen = describe(incoming);
    proxy.seen.push(seen);
    const fault = proxy.fault(seen);
    if (fault && 'hang' in fault) return; // it stays so until somebody gives up
    if (fault && 'refuseWith' in fault) {
      incoming.resume();
      outgoing.writeHead(fault.refuseWith).end();
      return;
    }
    const body = await read(incoming, fault);
    if (!body) return;
    const answer = await passOn(emulator.endpoint, incoming, body);
    if (fault && 'loseAnswer' in fault) incoming.socket.destroy();
    else if (fault && 'rewrite' in fault) {
      const { 'content-length': _, ...headers } = answer.headers;
      outgoing.writeHead(answer.status, headers).end(fault.rewrite(answer.body.toString()));
    } else {
      outgoing.writeHead(answer.status, answer.headers).end(answer.body);
      proxy.answered++;
    }
  };
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => {}); // given up by the client
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.requestTimeout = 0;
  server.listen(0, HOST);
  await once(server, 'listening');
  const endpoint = `http://${HOST}:${(server.address() as AddressInfo).port}`;
  const proxy: S3Proxy = {
    endpoint,
    fault: () => undefined,
    seen: [],
    answered: 0,
    client: ({ stallMs = 5_000 } = {}) =>
      new S3Client({
        endpoint,
        region: REGION,
        credentials: emulator.credentials,
        forcePathStyle: true,
        requestHandler: { socketTimeout: stallMs },
        maxAttempts: 1, // what a test breaks is broken
        logger: { debug() {}, info() {}, warn() {}, error() {} },
      }),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return proxy;
}

function describe({ method = '', url = '' }: IncomingMessage): SeenRequest {
  const { pathname, searchParams } = new URL(url, 'http://s3');
  const [uploadId, part] = [searchParams.get('uploadId'), searchParams.get('partNumber')];
  return {
    method,
    path: pathname.slice(1),
    ...(uploadId && { uploadId }),
    ...(part && { part: Number(part) }),
  };
}

/** The body; undefined if the connection has been cut. */
async function read(incoming: IncomingMessage, fault: Fault | undefined): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (fault && 'cutAfterBytes' in fault && bytes >= fault.cutAfterBytes) {
      incoming.socket.destroy();
      return undefined;
    }
    if (fault && 'bytesPerTick' in fault) await pause((TICK_MS * chunk.length) / fault.bytesPerTick);
  }
  return Buffer.concat(chunks);
}

async function passOn(endpoint: string, { method, url, headers }: IncomingMessage, body: Buffer) {
  const { expect: _, 'transfer-encoding': __, ...passed } = headers;
  const request = forward(new URL(url ?? '/', endpoint), {
    method,
    headers: { ...passed, 'content-length': String(body.length) },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const { 'transfer-encoding': ___, ...answered } = response.headers;
  return { status: response.statusCode ?? 502, headers: answered, body: Buffer.concat(chunks) };
}
