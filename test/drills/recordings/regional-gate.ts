/** The way of the deployed functions to S3 and DynamoDB, which a drill closes per region. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HOST } from '../../../local/cloud/ports.ts';

export type GatedService = 's3' | 'dynamodb';

/** `refuse`: answers 503 to all; `silent`: takes requests and answers none, as when nobody is there any more. */
export type Closure = 'refuse' | 'silent';

export interface RegionalGate {
  endpoint: string;
  /** Requests that a closed service got. */
  refused: number;
  close: (service: GatedService, region: string, how: Closure) => void;
  /** Opens all that is closed, and breaks the connections on which nobody has answered. */
  open: () => void;
  stop: () => Promise<void>;
}

/** As S3 answers when it is down. */
const UNAVAILABLE =
  '<?xml version="1.0"?><Error><Code>ServiceUnavailable</Code><Message>Service is unable to handle request.</Message></Error>';

/** Of the signature, in the header or in a presigned address: `<key>/<day>/<region>/<service>/aws4_request`. */
const SCOPE =
  /(?:Credential=|X-Amz-Credential=)[^/%]+(?:\/|%2F)\d+(?:\/|%2F)([a-z0-9-]+)(?:\/|%2F)([a-z0-9-]+)/;

/**
 * @param emulator to pass requests on to, `http://127.0.0.1:4566`
 * @param bucketRegion region of a bucket, by its name: a copy asks its source's region too
 */
export async function startRegionalGate(
  emulator: string,
  bucketRegion: (bucket: string) => string | undefined,
): Promise<RegionalGate> {
  const closed = new Map<string, Closure>();
  const silent = new Set<ServerResponse>();
  const agent = new Agent({ keepAlive: true });

  const closureOf = (incoming: IncomingMessage): Closure | undefined => {
    const { authorization = '', 'x-amz-copy-source': source } = incoming.headers;
    const [, region, service] = SCOPE.exec(`${authorization} ${incoming.url}`) ?? [];
    const sourceRegion = typeof source === 'string' ? bucketRegion(bucketOf(source)) : undefined;
    return closed.get(`${service} ${region}`) ?? closed.get(`s3 ${sourceRegion}`);
  };

  const server = createServer((incoming, outgoing) => {
    const closure = closureOf(incoming);
    if (closure) {
      gate.refused += 1;
      incoming.resume();
      if (closure === 'refuse')
        outgoing.writeHead(503, { 'content-type': 'application/xml' }).end(UNAVAILABLE);
      else silent.add(outgoing);
      return;
    }
    const { method, url, headers } = incoming;
    const passed = request(new URL(url ?? '/', emulator), { method, headers, agent }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  server.keepAliveTimeout = 0; // a connection that ends while its client sends the next request looks like a fault
  server.listen(0, HOST);
  await once(server, 'listening');
  const gate: RegionalGate = {
    endpoint: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    refused: 0,
    close: (service, region, how) => closed.set(`${service} ${region}`, how),
    open() {
      closed.clear();
      for (const outgoing of silent) outgoing.destroy();
      silent.clear();
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
  return gate;
}

/** Of `bucket/key`, as a copy names its source. */
const bucketOf = (source: string): string => source.replace(/^\//, '').split('/', 1)[0] ?? '';
