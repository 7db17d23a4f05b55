/** What steering works on, for its tests: the emulator's Route 53 with the plan's zone, and a fleet table. */
import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Change,
  ChangeResourceRecordSetsCommand,
  CreateHealthCheckCommand,
  CreateHostedZoneCommand,
  type ResourceRecordSet,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY, type LoadReport, STEERING_ITEM_ID, slotItemId } from '../../../core/fleet.ts';
import { wantedWeight } from '../../../core/srv-policy.ts';
import { IMPATIENT } from '../../../functions/shared/aws-clients.ts';
import type { SteeringEnvironment } from '../../../functions/steer-traffic/environment.ts';
import { type SteeringRun, steerTraffic } from '../../../functions/steer-traffic/steer-traffic.ts';
import { listRecordSets } from '../../../local/dns-server/route53-zone.ts';
import { createFleetTable, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type LogEntry, QuietLogger } from '../../helpers/quiet-logger.ts';

export const REGION = 'us-east-1';
export const ZONE = 'rec.example.com';
export const UDP = `_sip._udp.siprec.${ZONE}`;
export const TCP = `_sip._tcp.siprec.${ZONE}`;
export const NAMES = { [UDP]: ['use1-1', 'use1-2'], [TCP]: ['use1-1', 'use1-2'] };
/** A slot of another region, in the same names. */
export const FOREIGN = 'usw2-1';
export const CAPACITY = 1000;

/** What the policy wants for a slot with so many calls. */
export const wanted = (activeRecordings: number, callCapacity = CAPACITY): number =>
  wantedWeight(
    {
      slot: 'any',
      weight: callCapacity,
      report: { state: 'serving', activeRecordings, callCapacity, reportedAtMs: 0 },
    },
    0,
  ).weight;

/** A moment; tests count from it. */
export const T0 = Date.parse('2026-11-25T12:00:00.000Z');
export const seconds = (count: number): number => T0 + count * 1000;

export const TABLE = 'siprec-fleet';

export class SteeringStage {
  readonly emulator: TestEmulator;
  proxy: ApiProxy;
  readonly #route53: Route53Client;
  readonly #table: DynamoDBDocumentClient;
  hostedZoneId = '';
  logger = new QuietLogger();

  private constructor(emulator: TestEmulator, proxy: ApiProxy) {
    this.emulator = emulator;
    this.proxy = proxy;
    const { endpoint, credentials } = emulator;
    this.#route53 = new Route53Client({ endpoint, credentials, region: REGION });
    this.#table = emulator.documents(REGION);
  }

  static async open(): Promise<SteeringStage> {
    const emulator = await startTestEmulator();
    const stage = new SteeringStage(emulator, await startApiProxy(emulator.endpoint));
    await createFleetTable(emulator.dynamo(REGION), TABLE);
    const { HostedZone } = await stage.#route53.send(
      new CreateHostedZoneCommand({ Name: ZONE, CallerReference: ZONE }),
    );
    stage.hostedZoneId = (HostedZone?.Id ?? '').replace('/hostedzone/', '');
    return stage;
  }

  async close(): Promise<void> {
    this.#route53.destroy();
    await this.proxy.close();
    await this.emulator.stop();
  }

  async reopenProxy(): Promise<void> {
    this.proxy = await startApiProxy(this.emulator.endpoint);
  }

  /** Every slot's records with their first weights, an A record, and an empty table. */
  async reset(): Promise<void> {
    this.logger = new QuietLogger();
    this.proxy.fault = () => undefined;
    this.proxy.seen.length = 0;
    for (const id of [STEERING_ITEM_ID, ...['use1-1', 'use1-2', FOREIGN].map(slotItemId)])
      await this.#table.send(new DeleteCommand({ TableName: TABLE, Key: { [FLEET_KEY]: id } }));
    const { HealthCheck } = await this.#route53.send(
      new CreateHealthCheckCommand({
        CallerReference: 'check',
        HealthCheckConfig: { Type: 'HTTP', IPAddress: '192.0.2.1', Port: 8080 },
      }),
    );
    const checkId = HealthCheck?.Id as string;
    await this.change(
      'UPSERT',
      ...['use1-1', 'use1-2', FOREIGN].flatMap((slot, index) =>
        [UDP, TCP].map((name) => srvRecord(name, slot, index, checkId)),
      ),
      { Name: `use1-1.${ZONE}`, Type: 'A', TTL: 300, ResourceRecords: [{ Value: '192.0.2.1' }] },
    );
  }

  async change(action: Change['Action'], ...recordSets: ResourceRecordSet[]): Promise<void> {
    const Changes = recordSets.map((ResourceRecordSet): Change => ({ Action: action, ResourceRecordSet }));
    await this.#route53.send(
      new ChangeResourceRecordSetsCommand({ HostedZoneId: this.hostedZoneId, ChangeBatch: { Changes } }),
    );
  }

  async recordSets(): Promise<ResourceRecordSet[]> {
    return listRecordSets(this.#route53, this.hostedZoneId);
  }

  weights(): Promise<Record<string, number>> {
    return srvWeights(this.#route53, this.hostedZoneId);
  }

  /** A slot reports so many calls; `over` spoils the item. */
  async report(
    slot: string,
    activeRecordings: number,
    atMs: number,
    over: Record<string, unknown> = {},
  ): Promise<void> {
    const report: LoadReport = {
      slot,
      region: REGION,
      state: 'serving',
      stateChanged: false,
      reasons: [],
      reportedAt: new Date(atMs).toISOString(),
      activeRecordings,
      callCapacity: CAPACITY,
      cpuShare: 0.2,
      loopDelayMs: 3,
      rtpDrops: 0,
      spoolFill: 0.1,
      version: '0.1.0',
      expiresAt: Math.floor(atMs / 1000) + 86_400,
    };
    await this.put({ [FLEET_KEY]: slotItemId(slot), ...report, ...over });
  }

  async put(item: Record<string, unknown>): Promise<void> {
    await this.#table.send(new PutCommand({ TableName: TABLE, Item: item }));
  }

  async steering(): Promise<Record<string, unknown> | undefined> {
    const Key = { [FLEET_KEY]: STEERING_ITEM_ID };
    return (await this.#table.send(new GetCommand({ TableName: TABLE, Key, ConsistentRead: true }))).Item;
  }

  /** A run as the function makes it, with a client as impatient as its own, by way of the proxy. */
  async run(
    atMs: number,
    over: Partial<SteeringEnvironment> = {},
    requestTimeout = IMPATIENT.requestHandler.requestTimeout,
  ): Promise<SteeringRun> {
    const { endpoint } = this.proxy;
    const route53 = new Route53Client({
      ...IMPATIENT,
      requestHandler: { ...IMPATIENT.requestHandler, requestTimeout },
      endpoint,
      credentials: this.emulator.credentials,
      region: REGION,
    });
    const environment = { zone: ZONE, names: NAMES, tableName: TABLE, region: REGION, ...over };
    try {
      return await steerTraffic({ route53, table: this.#table, logger: this.logger }, environment, atMs);
    } finally {
      route53.destroy();
    }
  }

  /** Messages of the log, from this level on. */
  logged(level: 'ERROR' | 'WARN' | 'INFO'): LogEntry[] {
    return this.logger.entries.filter((entry) => entry.level === level);
  }
}

/** The weights in a zone: `use1-1 _udp` -> weight. */
export async function srvWeights(
  route53: Route53Client,
  hostedZoneId: string,
): Promise<Record<string, number>> {
  const srv = (await listRecordSets(route53, hostedZoneId)).filter(({ Type }) => Type === 'SRV');
  return Object.fromEntries(
    srv.map(({ Name, SetIdentifier, ResourceRecords }) => [
      `${SetIdentifier} ${Name?.split('.')[1]}`,
      Number(ResourceRecords?.[0]?.Value?.split(' ')[1]),
    ]),
  );
}

function srvRecord(name: string, slot: string, index: number, checkId: string): ResourceRecordSet {
  return {
    Name: `${name}.`,
    Type: 'SRV',
    SetIdentifier: slot,
    MultiValueAnswer: true,
    HealthCheckId: checkId,
    TTL: 30 + index,
    ResourceRecords: [{ Value: `${10 + index} ${CAPACITY} ${5060 + index} ${slot}.${ZONE}` }],
  };
}

/** What Route 53 would say instead of an answer. */
export interface Fault {
  status: number;
  code: string;
}

export const THROTTLING: Fault = { status: 400, code: 'Throttling' };

export interface ApiProxy {
  endpoint: string;
  /** What happens to a request, by method and path; undefined for nothing, `hang` for no answer at all. */
  fault: (request: string) => Fault | 'hang' | undefined;
  seen: string[];
  close: () => Promise<void>;
}

/** A way to the emulator's Route 53 that refuses what a test wants refused, in Route 53's words. */
async function startApiProxy(target: string): Promise<ApiProxy> {
  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url = '/', headers } = incoming;
    const seen = `${method} ${url.split('?')[0]}`;
    proxy.seen.push(seen);
    const fault = proxy.fault(seen);
    if (fault === 'hang') return;
    if (fault) {
      outgoing.writeHead(fault.status, { 'content-type': 'text/xml' }).end(errorDocument(fault));
      return;
    }
    const passed = forward(new URL(url, target), { method, headers });
    passed.end(Buffer.concat(chunks));
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  };
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: ApiProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: () => undefined,
    seen: [],
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return proxy;
}

const errorDocument = ({ code }: Fault): string =>
  `<?xml version="1.0"?>
<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
  <Error><Type>Sender</Type><Code>${code}</Code><Message>Rate exceeded</Message></Error>
  <RequestId>00000000-0000-0000-0000-000000000000</RequestId>
</ErrorResponse>`;
