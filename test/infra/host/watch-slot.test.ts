/** What stands beside a recorder on its host: `infra/host/watch-slot.sh`, run as it is. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { eventually } from '../../e2e/eventually.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { SlotHost } from './slot-host.ts';

jest.setTimeout(180_000); // each start of the AWS CLI takes a second

let emulator: TestEmulator;
let host: SlotHost;
let server: Server;
/** What the recorder and the ECS agent answer; a path that is not here hangs. */
const answers = new Map<string, string>();
let address: string;

beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());
beforeEach(async () => {
  host = await SlotHost.start(emulator);
  const running = join(host.directory, 'running');
  writeFileSync(running, '');
  // One container, until the file is gone; `kill` is what the ECS agent would see.
  host.program(
    'docker',
    `case $1 in
      ps) [ ! -e '${running}' ] || echo c0ffee ;;
      *) echo "docker $*" >>'${join(host.directory, 'asked')}' ;;
    esac`,
  );
  server = createServer(({ url = '' }, response) => {
    const answer = answers.get(url);
    if (answer !== undefined) response.end(answer);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  answers.set('/status', '{}');
  answers.set('/healthz', '{"healthy":true,"reasons":[]}');
  answers.set(
    '/v1/metadata',
    '{"ContainerInstanceArn":"arn:aws:ecs:us-east-1:000000000000:container-instance/siprec-recorders/1"}',
  );
}, EMULATOR_START_TIMEOUT_MS);
afterEach(async () => {
  await host?.close();
  server.closeAllConnections();
  server.close();
});

const watch = (settings = {}) =>
  host.start('watch-slot.sh', { HEALTH: address, AGENT: address, ...settings });
const askedFor = (what: RegExp) =>
  eventually(String(what), () => host.asked().find((line) => what.test(line)));

describe('the watch of a slot', () => {
  it('tells CloudFormation of a recorder that takes calls, and not of one that does not', async () => {
    answers.set('/healthz', '{"healthy":false,"reasons":["sip-server-gone"]}');
    watch();
    await eventually('a look', () => (host.metadata.asked.length > 8 ? true : undefined));
    expect(host.asked().join('\n')).not.toContain('signal-resource');
    answers.set('/healthz', '{"healthy":false,"reasons":["region-closed"]}'); // an operator's wish, and no fault
    expect(await askedFor(/signal-resource/)).toMatch(/--unique-id i-\w+ --status SUCCESS$/);
  });

  it('kills a recorder that hangs, and counts it', async () => {
    answers.delete('/status');
    watch({ HUNG_LOOKS: '2' });
    expect(await askedFor(/docker kill/)).toBe('docker kill --signal KILL c0ffee');
    expect(await askedFor(/put-metric-data/)).toMatch(/MetricName=HungRecorders,.*Value=use1-1/);
  });

  it('gives the slot up when Auto Scaling takes the instance: once its calls are over', async () => {
    await host.attachTo(host.instanceId);
    host.metadata.items.set('autoscaling/target-lifecycle-state', 'Terminated');
    const { exited } = watch();
    await askedFor(
      /update-container-instances-state .*container-instance\/siprec-recorders\/1 --status DRAINING/,
    );
    await askedFor(/record-lifecycle-action-heartbeat .*siprec-use1-1 --lifecycle-hook-name drain/);
    expect(host.asked().join('\n')).not.toMatch(/detach-volume|complete-lifecycle-action/);
    expect(await host.holderOfVolume()).toBe(host.instanceId);

    rmSync(join(host.directory, 'running'));
    expect(await exited).toBe(0);
    expect(await host.holderOfVolume()).toBe('');
    expect(host.asked().at(-1)).toMatch(/complete-lifecycle-action .*--lifecycle-action-result CONTINUE$/);
    expect(existsSync(join(host.directory, 'running'))).toBe(false);
  });
});
