/** A query API for tests: an HTTP server that answers with what it is given. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApiClientOptions } from '../../local/api-client.ts';

export interface TestApi {
  options: ApiClientOptions;
  requests: IncomingMessage[];
  close: () => Promise<unknown>;
}

export type Answer = { status?: number; body: object | Buffer };

/** @param answer to each request, by its path and query; `origin` is the server's own address */
export async function startTestApi(answer: (url: URL, origin: string) => Answer): Promise<TestApi> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const { status = 200, body } = answer(new URL(request.url ?? '', origin), origin);
    response.writeHead(status).end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    options: {
      url: `${origin}/stage`,
      region: 'us-east-1',
      credentials: { accessKeyId: '000000000000', secretAccessKey: 'local' },
    },
    requests,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
