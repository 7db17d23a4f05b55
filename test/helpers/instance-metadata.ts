/** The metadata service of an EC2 instance, as far as a recorder asks it: IMDSv2, with its tokens. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HOST } from './recorder.ts';

export interface InstanceMetadataService {
  endpoint: string;
  /** By path below `/latest/meta-data/`; any other gets 404. */
  items: Map<string, string>;
  /** Paths of the items that were asked for with a valid token. */
  asked: string[];
  /** Tokens given out. */
  tokens: string[];
  /** What was given out so far is worth nothing any more. */
  expireTokens(): void;
  /** Status of every answer from now on; `hang` for none at all. */
  fault: number | 'hang' | undefined;
  close(): Promise<void>;
}

export async function startInstanceMetadata(): Promise<InstanceMetadataService> {
  const valid = new Set<string>();
  const server = createServer(({ method, url = '', headers }, response) => {
    const answer = (status: number, body = '') => response.writeHead(status).end(body);
    if (service.fault === 'hang') return;
    if (service.fault !== undefined) return answer(service.fault);
    if (method === 'PUT' && url === '/latest/api/token') {
      const seconds = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21_600)) return answer(400);
      const token = `token-${service.tokens.length + 1}`;
      service.tokens.push(token);
      valid.add(token);
      return answer(200, token);
    }
    if (!valid.has(String(headers['x-aws-ec2-metadata-token']))) return answer(401);
    const path = url.replace('/latest/meta-data/', '');
    service.asked.push(path);
    const item = service.items.get(path);
    return item === undefined ? answer(404) : answer(200, item);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const service: InstanceMetadataService = {
    endpoint: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    items: new Map(),
    asked: [],
    tokens: [],
    expireTokens: () => valid.clear(),
    fault: undefined,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return service;
}
