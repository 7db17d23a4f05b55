/**
 * A loopback proxy before a query API that signs every request as one caller, and looks at every answer: for what belongs
 * to others.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { ApiClientOptions } from '../../local/api-client.ts';

export interface Leak {
  request: string;
  /** What was in the answer. */
  found: string;
}

export interface SigningProxy {
  url: string;
  leaks: Leak[];
  /** Answers, by status. */
  statuses: Map<number, number>;
  close: () => Promise<void>;
}

/** Of the connection, not of the request. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'transfer-encoding',
  'host',
  'authorization',
  'content-length',
];

/** @param foreign texts that are in other tenants' recordings and in no others */
export async function startSigningProxy(
  api: ApiClientOptions,
  foreign: readonly string[],
): Promise<SigningProxy> {
  const target = new URL(api.url);
  const leaks: Leak[] = [];
  const statuses = new Map<number, number>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const path = target.pathname + (request.url ?? '');
    const headers = await sign(api, target, request.method ?? 'GET', path, request.headers, body);
    const forwarded = send({
      host: target.hostname,
      port: target.port,
      method: request.method ?? 'GET',
      path,
      headers,
    });
    forwarded.on('error', (error) => response.writeHead(502).end(String(error)));
    forwarded.on('response', async (answer) => {
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part as Buffer);
      const content = Buffer.concat(parts);
      const status = answer.statusCode ?? 0;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      leaks.push(...leaksIn(request.url ?? '', content.toString(), foreign));
      const own = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.includes(name));
      response.writeHead(status, Object.fromEntries(own)).end(content);
    });
    forwarded.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leaks,
    statuses,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What somebody has asked for may be said again, in the answer that it is not there. */
export function leaksIn(request: string, answer: string, foreign: readonly string[]): Leak[] {
  const asked = decodeLoosely(request);
  return foreign
    .filter((text) => answer.includes(text) && !asked.includes(text))
    .map((found) => ({ request, found }));
}

/** A cursor has its query inside, in base64url. */
function decodeLoosely(request: string): string {
  const cursor = /[?&]cursor=([\w-]+)/.exec(request)?.[1] ?? '';
  const plain = request
    .replaceAll('+', ' ')
    .replaceAll(/(%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString());
  return plain + Buffer.from(cursor, 'base64url').toString();
}

async function sign(
  { region, credentials }: ApiClientOptions,
  target: URL,
  method: string,
  pathAndQuery: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
): Promise<Record<string, string | string[] | undefined>> {
  const [path = '', search = ''] = pathAndQuery.split(/\?(.*)/s);
  const query: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(search)) query[name] = [...(query[name] ?? []), value];
  const signer = new SignatureV4({ service: 'execute-api', region, credentials, sha256: Sha256 });
  const signed = await signer.sign({
    method,
    protocol: target.protocol,
    hostname: target.hostname,
    port: Number(target.port),
    path,
    query,
    headers: { host: target.host },
    body,
  });
  const passed = Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name));
  // Node says the length by itself for some methods only, and sends the body for all.
  const length = body.length > 0 ? { 'content-length': String(body.length) } : {};
  return { ...Object.fromEntries(passed), ...signed.headers, ...length };
}
