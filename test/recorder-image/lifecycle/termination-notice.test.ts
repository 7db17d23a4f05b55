import {
  type TerminationNotice,
  watchTermination,
} from '../../../recorder-image/src/lifecycle/termination-notice.ts';
import { type InstanceMetadataService, startInstanceMetadata } from '../../helpers/instance-metadata.ts';
import { LogLines } from '../../helpers/logs.ts';
import { startRecorderProcess, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const AUTO_SCALING = 'autoscaling/target-lifecycle-state';
const SPOT = 'spot/instance-action';

let service: InstanceMetadataService;
let logs: LogLines;
beforeEach(async () => {
  service = await startInstanceMetadata();
  logs = new LogLines();
});
afterEach(() => service.close());

const notices: TerminationNotice[] = [];
let stop: () => void;
function watch(endpoint = service.endpoint): Promise<TerminationNotice> {
  notices.length = 0;
  return new Promise((resolve) => {
    stop = watchTermination({
      endpoint,
      intervalMs: 10,
      logger: logs.logger(),
      onNotice: (notice) => {
        notices.push(notice);
        resolve(notice);
      },
    });
  });
}

/** Both items were asked for so many times more. */
async function looks(times: number): Promise<void> {
  const before = service.asked.length;
  await until(() => service.asked.length >= before + 2 * times);
}

describe('the end of an instance', () => {
  it('is not announced by what an instance in service says', async () => {
    service.items.set(AUTO_SCALING, 'InService');
    void watch();
    await looks(3);
    stop();
    expect(notices).toEqual([]);
    expect(service.tokens).toHaveLength(1);
    expect(new Set(service.asked)).toEqual(new Set([AUTO_SCALING, SPOT]));
    expect(logs.lines).toEqual([]);
  });

  it('is announced by Auto Scaling, once', async () => {
    const notice = watch(`${service.endpoint}/`);
    await looks(1);
    service.items.set(AUTO_SCALING, 'Terminated');
    expect(await notice).toEqual({ why: 'Auto Scaling terminates the instance' });
    const asked = service.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 50)); // five intervals
    expect(service.asked).toHaveLength(asked);
    expect(notices).toHaveLength(1);
  });

  it.each([
    [
      'with its time',
      '{"action": "terminate", "time": "2026-01-01T12:00:00Z"}',
      { at: new Date('2026-01-01T12:00:00Z') },
    ],
    ['with a time that is none', '{"action": "stop", "time": "soon"}', {}],
    ['not in JSON', 'terminate', {}],
  ])('is announced by EC2 for a Spot Instance, %s', async (_, item, rest) => {
    service.items.set(SPOT, item);
    expect(await watch()).toEqual({ why: 'EC2 takes the Spot Instance back', ...rest });
  });

  it('is seen with a new token when the old one has expired', async () => {
    const notice = watch();
    await looks(1);
    service.expireTokens();
    await looks(1);
    expect(service.tokens).toHaveLength(2);
    service.items.set(AUTO_SCALING, 'Terminated');
    await notice;
  });

  it.each([['hang' as const], [500], [403]])(
    'is waited for although the service fails: %s',
    async (fault) => {
      service.fault = fault;
      const notice = watch();
      await logs.find(
        `the instance's metadata cannot be read from ${service.endpoint}; its end would come unannounced`,
      );
      service.items.set(AUTO_SCALING, 'Terminated');
      service.fault = undefined;
      await notice;
      expect(logs.lines.map(({ msg }) => msg)).toEqual([
        expect.stringContaining('cannot be read'),
        "the instance's metadata can be read again",
      ]);
    },
  );
});

describe('a recorder whose instance is about to go', () => {
  it('drains, and ends when its last call has', async () => {
    const recorder = await startRecorderProcess({
      variables: { SIPREC_INSTANCE_METADATA: service.endpoint },
    });
    const src = await Src.start(recorder.sipServer.sipPort);
    const call = await src.call();
    await call.start();
    service.items.set(AUTO_SCALING, 'Terminated');
    await recorder.logs.find('told to stop', { why: 'Auto Scaling terminates the instance' });
    await recorder.logs.find('draining');
    expect((await recorder.health('/healthz')).body).toEqual({ healthy: false, reasons: ['draining'] });
    const late = await src.call();
    expect((await finalOf(late.send(late.invite()))).status).toBe(503);
    expect((await call.bye()).status).toBe(200);
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    await src.close();
    await recorder.stop();
  });

  it('has half a minute of its time left to finish what runs', async () => {
    const at = new Date(Date.now() + 90_000);
    service.items.set(SPOT, JSON.stringify({ action: 'terminate', time: at.toISOString() }));
    const recorder = await startTestRecorder({ variables: { SIPREC_INSTANCE_METADATA: service.endpoint } });
    const { why, ceilingMs } = await recorder.drainRequested;
    expect(why).toBe('EC2 takes the Spot Instance back');
    expect(ceilingMs).toBeLessThanOrEqual(60_000);
    expect(ceilingMs).toBeGreaterThan(30_000);
    await recorder.stop();
  });
});
