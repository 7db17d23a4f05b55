/** Steering as it is deployed: the stacks in the emulator, without recorders. What slots would report is written by the test. */
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { Route53Client } from '@aws-sdk/client-route-53';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Deployment } from '../../core/deployment.ts';
import { FLEET_KEY, fleetTableName, type LoadReport, slotItemId } from '../../core/fleet.ts';
import { functionName } from '../../core/names.ts';
import { hourOf, ledgerItemId } from '../../core/recording-ledger.ts';
import { planSlots } from '../../core/slot-plan.ts';
import { ASSURED_PREFIX } from '../../functions/assure-recordings/constants.ts';
import { publishZone } from '../../local/cloud/dns-records.ts';
import { RecordingLedger } from '../../recorder-image/src/health/recording-ledger.ts';
import { srvWeights, wanted } from '../functions/steer-traffic/stage.ts';
import type { TestEmulator } from '../helpers/emulator.ts';
import { CLOUD_START_TIMEOUT_MS } from './cloud.ts';
import { type DeployedStacks, deployForTest } from './deployed.ts';
import { eventually } from './eventually.ts';

let stacks: DeployedStacks;
let emulator: TestEmulator;
let deployment: Deployment;
let route53: Route53Client;
let hostedZoneId: string;

beforeAll(async () => {
  stacks = await deployForTest();
  ({ emulator, deployment } = stacks);
  const { endpoint, credentials } = emulator;
  route53 = new Route53Client({ endpoint, credentials, region: 'us-east-1' });
  ({ hostedZoneId } = await publishZone(route53, deployment.dns.zone, planSlots(deployment), '127.0.0.1'));
}, CLOUD_START_TIMEOUT_MS);
afterAll(async () => {
  route53?.destroy();
  await stacks?.stop();
});

async function report(region: string, slot: string, activeRecordings: number): Promise<void> {
  const now = Date.now();
  const item: LoadReport = {
    ...{ slot, region, state: 'serving', stateChanged: true, reasons: [] },
    reportedAt: new Date(now).toISOString(),
    ...{ activeRecordings, callCapacity: 100, cpuShare: 0.1, loopDelayMs: 1, rtpDrops: 0, spoolFill: 0 },
    ...{ version: '0.1.0', expiresAt: Math.floor(now / 1000) + 86_400 },
  };
  await emulator.documents(region).send(
    new PutCommand({
      TableName: fleetTableName(deployment),
      Item: { [FLEET_KEY]: slotItemId(slot), ...item },
    }),
  );
}

describe('the deployed steering', () => {
  it.each([
    ['us-east-1', 'use1-1', 40],
    ['us-west-2', 'usw2-2', 90],
  ])(
    'of %s makes a report of %s with another state a weight, in the zone that it finds by name',
    async (region, slot, activeRecordings) => {
      const weight = wanted(activeRecordings, 100);
      await report(region, slot, activeRecordings);
      await eventually(`the weight ${weight} of ${slot}`, async () => {
        const now = await srvWeights(route53, hostedZoneId);
        return now[`${slot} _udp`] === weight && now[`${slot} _tcp`] === weight ? now : undefined;
      });
    },
    90_000,
  );
});

describe('the deployed assurance', () => {
  it('looks in the index for what a slot wrote into its ledger', async () => {
    const [{ name: region, slots }] = deployment.regions as [Deployment['regions'][number]];
    const slot = slots[0]?.name as string;
    const ledger = new RecordingLedger({ slot });
    const startedAt = new Date().toISOString();
    ledger.begun('running', startedAt);
    ledger.begun('gone', startedAt);
    ledger.released('gone');
    const table = emulator.documents(region);
    const TableName = fleetTableName(deployment);
    for (const entry of ledger.entries())
      await table.send(new PutCommand({ TableName, Item: { [FLEET_KEY]: ledgerItemId(entry), ...entry } }));
    const { endpoint, credentials } = emulator;
    const lambda = new LambdaClient({ endpoint, credentials, region });
    const { FunctionError } = await lambda.send(
      new InvokeCommand({ FunctionName: functionName(deployment, 'assure-recordings') }),
    );
    lambda.destroy();
    expect(FunctionError).toBeUndefined();
    const Key = { [FLEET_KEY]: `${ASSURED_PREFIX}${slot}#${hourOf(Date.parse(startedAt))}` };
    const { Item } = await table.send(new GetCommand({ TableName, Key, ConsistentRead: true }));
    expect(Item).toMatchObject({ seen: 0, settled: [{ count: 1 }] });
  });
});
