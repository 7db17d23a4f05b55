import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Route53Client } from '@aws-sdk/client-route-53';
import {
  startRoute53Zone,
  UnsupportedRecordError,
  ZoneLoadError,
} from '../../../local/dns-server/route53-zone.ts';

const SOA = `<ResourceRecordSet><Name>rec.example.com.</Name><Type>SOA</Type><TTL>900</TTL><ResourceRecords><ResourceRecord>
  <Value>ns1.example.net. host.example.net. 1 7200 900 1209600 86400</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>`;

function srv(slot: string): string {
  return `<ResourceRecordSet><Name>_sip._udp.rec.example.com.</Name><Type>SRV</Type><SetIdentifier>${slot}</SetIdentifier>
    <MultiValueAnswer>true</MultiValueAnswer><TTL>30</TTL><ResourceRecords><ResourceRecord>
    <Value>10 100 5060 ${slot}.rec.example.com.</Value></ResourceRecord></ResourceRecords>
    <HealthCheckId>check-${slot}</HealthCheckId></ResourceRecordSet>`;
}

const WEIGHTED = `<ResourceRecordSet><Name>w.rec.example.com.</Name><Type>A</Type><SetIdentifier>one</SetIdentifier><Weight>5</Weight>
  <TTL>30</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>`;

function listing(recordSets: string, next?: string): string {
  return `<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
    <ResourceRecordSets>${recordSets}</ResourceRecordSets><IsTruncated>${next !== undefined}</IsTruncated>
    ${next ? `<NextRecordName>_sip._udp.rec.example.com.</NextRecordName><NextRecordType>SRV</NextRecordType><NextRecordIdentifier>${next}</NextRecordIdentifier>` : ''}
    <MaxItems>300</MaxItems></ListResourceRecordSetsResponse>`;
}

let server: Server;
let client: Route53Client;
/** What the endpoint says; a function of the identifier that the page starts at. */
let respond: (startIdentifier: string | null) => { status: number; body: string };

beforeEach(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    const { status, body } = respond(url.searchParams.get('identifier'));
    response.writeHead(status, { 'Content-Type': 'text/xml' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = new Route53Client({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
});
afterEach(async () => {
  client.destroy();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** Awaits the end of `count` further answered requests. */
async function refreshes(count: number): Promise<void> {
  for (let seen = 0; seen < count; seen++) await once(server, 'request');
}

it('reads all pages into a zone', async () => {
  respond = (identifier) => ({
    status: 200,
    body: identifier === 's2' ? listing(srv('s2')) : listing(SOA + srv('s1'), 's2'),
  });
  const source = await startRoute53Zone({ client, hostedZoneId: 'Z1', onProblem: () => {} });
  await source.close();
  const zone = source.zone();
  expect(zone.origin).toBe('rec.example.com');
  expect(zone.recordSets.slice(1)).toEqual(
    ['s1', 's2'].map((slot) => ({
      name: '_sip._udp.rec.example.com',
      type: 'SRV',
      ttlSeconds: 30,
      values: [{ priority: 10, weight: 100, port: 5060, target: `${slot}.rec.example.com` }],
      multivalue: { setIdentifier: slot, healthCheckId: `check-${slot}` },
    })),
  );
});

it('follows changes, keeps the last good copy while the API fails, and says so once', async () => {
  const problems: Error[] = [];
  respond = () => ({ status: 200, body: listing(SOA) });
  const source = await startRoute53Zone({
    client,
    hostedZoneId: 'Z1',
    refreshMs: 5,
    onProblem: (problem) => problems.push(problem),
  });
  respond = () => ({ status: 200, body: listing(SOA + srv('s1')) });
  await refreshes(3);
  expect(source.zone().recordSets).toHaveLength(2);

  respond = () => ({
    status: 500,
    body: '<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>',
  });
  await refreshes(5);
  expect(source.zone().recordSets).toHaveLength(2);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toBeInstanceOf(ZoneLoadError);
  expect(problems[0]).toMatchObject({ hostedZoneId: 'Z1' });

  respond = () => ({ status: 200, body: listing(SOA) });
  await refreshes(3);
  expect(source.zone().recordSets).toHaveLength(1);
  await source.close();
});

it('leaves out a record that it cannot serve, and names it', async () => {
  const problems: Error[] = [];
  respond = () => ({ status: 200, body: listing(SOA + WEIGHTED + srv('s1')) });
  const source = await startRoute53Zone({
    client,
    hostedZoneId: 'Z1',
    onProblem: (problem) => problems.push(problem),
  });
  await source.close();
  expect(source.zone().recordSets.map(({ type }) => type)).toEqual(['SOA', 'SRV']);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toBeInstanceOf(UnsupportedRecordError);
  expect(problems[0]?.message).toContain('w.rec.example.com.');
});

it('does not start without a first reading', async () => {
  respond = () => ({
    status: 404,
    body: '<ErrorResponse><Error><Code>NoSuchHostedZone</Code></Error></ErrorResponse>',
  });
  const starting = startRoute53Zone({ client, hostedZoneId: 'Z1', onProblem: () => {} });
  await expect(starting).rejects.toThrow(ZoneLoadError);
});
