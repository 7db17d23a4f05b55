/** The way to Route 53's API, which an outage of its control plane may close. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Route53Gate {
  endpoint: string;
  frozen: boolean;
  /** Requests refused so far. */
  refused: number;
  close: () => Promise<void>;
}

/** As the service answers when it is down. */
const UNAVAILABLE = `<?xml version="1.0"?>
<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Receiver</Type><Code>ServiceUnavailable</Code>
<Message>Service is unavailable.</Message></Error></ErrorResponse>`;

/** @param emulator to pass requests on to, `http://127.0.0.1:4566` */
export async function startRoute53Gate(emulator: string): Promise<Route53Gate> {
  const server = createServer((incoming, outgoing) => {
    if (gate.frozen) {
      gate.refused++;
      incoming.resume();
      outgoing.writeHead(503, { 'content-type': 'text/xml' }).end(UNAVAILABLE);
      return;
    }
    const { method, url, headers } = incoming;
    const passed = request(new URL(url ?? '/', emulator), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const gate: Route53Gate = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    frozen: false,
    refused: 0,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return gate;
}
