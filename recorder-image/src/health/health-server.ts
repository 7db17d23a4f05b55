/** The health port: `/healthz` for Route 53's health check, `/status` for people. No secrets, no numbers of callers. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthServerOptions {
  address: string;
  /** 0 takes a free one. */
  port: number;
  /** Reasons against new calls; none means healthy. */
  reasons: () => Promise<string[]>;
  /** Body of `/status`. */
  status: () => Promise<Record<string, unknown>>;
}

export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

/**
 * `GET /healthz` answers 200 or 503 with `{"healthy", "reasons"}`; `GET /status` answers 200 with what is known.
 * @throws Error naming the address if the port cannot be had, with the system's error as its cause
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const routes: Record<string, () => Promise<[number, unknown]>> = {
    '/healthz': async () => {
      const reasons = await options.reasons();
      return [reasons.length === 0 ? 200 : 503, { healthy: reasons.length === 0, reasons }];
    },
    '/status': async () => [200, await options.status()],
  };
  const server = createServer((request, response) => {
    const route = routes[request.url?.split('?', 1)[0] ?? '/'];
    const answer = route
      ? route()
      : Promise.resolve<[number, unknown]>([404, { error: 'see /healthz, /status' }]);
    answer
      .catch((error: Error): [number, unknown] => [503, { healthy: false, reasons: [error.message] }])
      .then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(`${JSON.stringify(body)}\n`);
      });
  });
  server.listen(options.port, options.address);
  await once(server, 'listening').catch((cause: Error) => {
    throw new Error(`health port ${options.address}:${options.port} cannot be opened: ${cause.message}`, {
      cause,
    });
  });
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

async function closed(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}
