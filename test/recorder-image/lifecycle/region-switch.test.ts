/** An operator closes a region, and opens it again: by the parameter alone. */
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { header } from '../../../local/sip/message.ts';
import { watchRegionSwitch } from '../../../recorder-image/src/lifecycle/region-switch.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { LogLines } from '../../helpers/logs.ts';
import { type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const NAME = '/example/region';
const UNREADABLE = `the region switch ${NAME} cannot be read; what it said last holds (at first: open)`;
const READABLE = `the region switch ${NAME} can be read again`;

describe('a recorder with a region switch', () => {
  let emulator: TestEmulator;
  let ssm: SSMClient;
  let proxy: S3Proxy;
  let recorder: LocalRecorder;
  let src: Src;
  beforeAll(async () => {
    emulator = await startTestEmulator();
    proxy = await startS3Proxy(emulator);
    const { endpoint, credentials } = emulator;
    ssm = new SSMClient({ endpoint, credentials, region: REGION });
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(async () => {
    ssm?.destroy();
    await proxy?.close();
    await emulator?.stop();
  });
  beforeEach(() => {
    proxy.fault = () => undefined;
  });
  afterEach(async () => {
    await src.close();
    await recorder.stop();
  });

  /** As `aws ssm put-parameter --overwrite`. */
  const set = (Value: string) =>
    ssm.send(new PutParameterCommand({ Name: NAME, Value, Type: 'String', Overwrite: true }));

  async function start(): Promise<void> {
    recorder = await startTestRecorder({
      endpoint: proxy.endpoint,
      variables: { SIPREC_REGION_SWITCH: NAME },
      spoolFlushMs: 0,
      pollMs: 50,
    });
    src = await Src.start(recorder.sipServer.sipPort);
  }

  const health = async () => {
    const { status, body } = await recorder.health('/healthz');
    return [status, body.reasons];
  };
  const state = async () => (await recorder.health('/status')).body.state;

  it('takes no new call while it is closed, and those that run go on', async () => {
    await set('open');
    await start();
    expect(await health()).toEqual([200, []]);
    const call = await src.call();
    await call.start();
    await set('closed');
    await recorder.logs.find('the region is closed');
    expect(await health()).toEqual([503, ['region-closed']]);
    expect(await state()).toBe('closed');
    const refused = await src.call();
    const answers = [await finalOf(refused.send(refused.invite())), await src.request('OPTIONS')];
    for (const answer of answers) expect([answer.status, header(answer, 'Retry-After')]).toEqual([503, '60']);
    await call.speak(5);
    expect((await call.request('INFO')).status).toBe(200); // its dialog is served as before
    await set('open');
    await recorder.logs.find('the region is open');
    expect(await health()).toEqual([200, []]);
    expect(await state()).toBe('serving');
    await (await src.call()).start();
    expect((await call.bye()).status).toBe(200);
    expect(await recorder.logs.find('recording ended')).toMatchObject({ endedBy: 'bye' });
  });

  it('is closed from its first moment if the region is', async () => {
    await set('closed');
    await start();
    const call = await src.call();
    expect((await finalOf(call.send(call.invite()))).status).toBe(503);
    expect(await health()).toEqual([503, ['region-closed']]);
  });

  it.each([
    ['hangs', { hang: true as const }],
    ['refuses', { refuseWith: 503 }],
    ['does not know the parameter, or us', { refuseWith: 400 }],
  ])('keeps what the switch said last while SSM %s', async (_, fault) => {
    await set('closed');
    await start();
    proxy.fault = ({ path }) => (path === '' ? fault : undefined);
    await recorder.logs.find(UNREADABLE);
    await set('open');
    const seen = proxy.seen.length;
    await until(() => proxy.seen.length > seen + 1);
    expect(await health()).toEqual([503, ['region-closed']]);
    proxy.fault = () => undefined;
    await recorder.logs.find(READABLE);
    await recorder.logs.find('the region is open');
    expect(recorder.logs.lines.filter(({ msg }) => msg === UNREADABLE)).toHaveLength(1);
  });

  it('starts open if the switch cannot be read', async () => {
    proxy.fault = ({ path }) => (path === '' ? { hang: true } : undefined);
    await start();
    expect(recorder.logs.lines.filter(({ msg }) => msg === UNREADABLE)).toHaveLength(1);
    expect(await health()).toEqual([200, []]);
    await (await src.call()).start();
  });
});

it('without a switch says so', async () => {
  const recorder = await startTestRecorder();
  await recorder.logs.find(
    'SIPREC_REGION_SWITCH is not set: this recorder cannot be told to close its region',
  );
  await recorder.stop();
});

describe('the switch', () => {
  /** Reads these one after the other, and then nothing more; what was told, and what was logged as an error. */
  async function follow(...values: (string | Error)[]): Promise<{ told: string[]; errors: unknown[] }> {
    const told: string[] = [];
    const logs = new LogLines();
    const allRead = Promise.withResolvers<void>();
    const left = [...values];
    const watch = watchRegionSwitch({
      name: NAME,
      async read() {
        const value = left.shift();
        if (value === undefined) {
          allRead.resolve();
          return new Promise<string>(() => {});
        }
        if (value instanceof Error) throw value;
        return value;
      },
      onChange: (value) => told.push(value),
      logger: logs.logger(),
      intervalMs: 1,
    });
    await allRead.promise;
    watch.stop();
    return { told, errors: logs.lines.filter(({ level }) => level === 50).map(({ msg }) => msg) };
  }

  const meaningless = (value: string, known: string) =>
    `the region switch ${NAME} is ${JSON.stringify(value)}, which means nothing: set it to open or closed; the region counts as ${known} meanwhile`;

  it.each<[string, (string | Error)[], string[], string[]]>([
    ['is open at first', ['open', 'open'], [], []],
    ['is told when it changes', ['closed', 'closed', 'open', ' closed\n'], ['closed', 'open', 'closed'], []],
    ['is kept when it cannot be read', ['closed', new Error('no'), 'closed'], ['closed'], []],
    [
      'is kept when it says something unknown, which is an error, once for each value',
      ['shut', 'shut', 'closed', 'shut', '', 'Open', 'closed'],
      ['closed'],
      [
        meaningless('shut', 'open'),
        meaningless('shut', 'closed'),
        meaningless('', 'closed'),
        meaningless('Open', 'closed'),
      ],
    ],
  ])('%s', async (_, values, told, errors) => {
    expect(await follow(...values)).toEqual({ told, errors });
  });
});
