/**
 * The health port: `/healthz` for Route 53's health check, `/status` for people, `/metrics` for Prometheus. No secrets, no
 * numbers of callers.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { METRICS_CONTENT_TYPE } from './metrics.ts';

export interface HealthServerOptions {
  address: string;
  /** 0 takes a free one. */
  port: number;
  /** Reasons against new calls; none means healthy. */
  reasons: () => Promise<string[]>;
  /** Body of `/status`. */
  status: () => Promise<Record<string, unknown>>;
  /** Body of `/metrics`. */
  metrics: () => Promise<string>;
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

const json = (status: number, body: unknown): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
});

export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

/**
 * `GET /healthz` answers 200 or 503 with `{"healthy", "reasons"}`; `GET /status` answers 200 with what is known, and
 * `GET /metrics` with the same as Prometheus reads it.
 * @throws Error naming the address if the port cannot be had, with the system's error as its cause
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const routes: Record<string, () => Promise<Answer>> = {
    '/healthz': async () => {
      const reasons = await options.reasons();
      return json(reasons.length === 0 ? 200 : 503, { healthy: reasons.length === 0, reasons });
    },
    '/status': async () => json(200, await options.status()),
    '/metrics': async () => ({ status: 200, type: METRICS_CONTENT_TYPE, body: await options.metrics() }),
  };
  const server = createServer((request, response) => {
    const route = routes[request.url?.split('?', 1)[0] ?? '/'];
    const answer = route?.() ?? Promise.resolve(json(404, { error: 'see /healthz, /status, /metrics' }));
    answer
      .catch((error: Error) => json(503, { healthy: false, reasons: [error.message] }))
      .then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
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
