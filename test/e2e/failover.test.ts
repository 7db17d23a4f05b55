/** Recorders die; calls do not notice. */
import { placeCalls } from '../../local/broadworks/simulator.ts';
import { slotsInDns } from '../../local/slots-in-dns.ts';
import { verifyCalls } from '../../local/verify.ts';
import { CLOUD_START_TIMEOUT_MS, DOMAIN, startTestCloud, type TestCloud } from './cloud.ts';

const CALLS_TIMEOUT_MS = 60_000;
const CALLS = 6;
/** In half seconds rather than ten. */
const HEALTH_TIME_FACTOR = 20;

let test: TestCloud;

beforeAll(async () => {
  test = await startTestCloud(HEALTH_TIME_FACTOR);
}, CLOUD_START_TIMEOUT_MS);

afterAll(() => test?.stop(), 30_000);

/** Places calls and checks every recording. @returns the slots that took them, each once, and all attempts */
async function recordCalls(): Promise<{ slots: string[]; attempts: string[] }> {
  const since = new Date();
  const results = await placeCalls({
    domain: DOMAIN,
    dnsServer: test.cloud.dns,
    transport: 'udp',
    calls: CALLS,
    durationMs: 1_000,
    log: () => {},
  });
  const { signal } = new AbortController();
  const verified = await verifyCalls(test.api('us-east-1'), results, { since, streams: 'dual', signal });
  expect(verified.map(({ problems }) => problems)).toEqual(Array(CALLS).fill([]));
  return {
    slots: [...new Set(verified.map(({ recording }) => recording?.slot as string))].sort(),
    attempts: results.flatMap(({ attempts }) =>
      attempts.map(({ target, outcome }) => `${target} ${outcome}`),
    ),
  };
}

/** Slots that the SRV query names. */
const namedSlots = async (): Promise<string[]> => [
  ...(await slotsInDns(test.cloud.dns, `_sip._udp.${DOMAIN}`)).keys(),
];

const kill = (pid: number) => process.kill(pid, 'SIGKILL');

/** From one test to the next, one slot more is gone. */
describe('calls are all recorded', () => {
  it(
    'while everything works',
    async () => {
      await recordCalls();
      expect(await namedSlots()).toEqual(['use1-1', 'use1-2', 'usw2-1', 'usw2-2']);
    },
    CALLS_TIMEOUT_MS,
  );

  it(
    'when a whole host dies: at once, and by DNS alone once its health check has failed',
    async () => {
      const { recorderPid, sipServerPid } = test.slot('use1-1');
      kill(recorderPid);
      kill(sipServerPid);
      expect((await recordCalls()).slots).not.toContain('use1-1');
      await test.untilIncident(/^health check of use1-1: unhealthy/);
      expect(await namedSlots()).toEqual(['use1-2', 'usw2-1', 'usw2-2']);
      const { attempts } = await recordCalls();
      expect(attempts.filter((attempt) => attempt.startsWith('use1-1'))).toEqual([]);
    },
    CALLS_TIMEOUT_MS,
  );

  it(
    'when a recorder dies and its SIP server lives: it refuses what it cannot record',
    async () => {
      kill(test.slot('usw2-1').recorderPid);
      await test.untilIncident(/^recorder usw2-1 ended/);
      const { slots, attempts } = await recordCalls();
      expect(slots).not.toContain('usw2-1');
      const refused = attempts.filter((attempt) => attempt.startsWith('usw2-1'));
      expect(refused).toEqual(refused.map(() => 'usw2-1.rec.example.com 503 Service Unavailable'));
      await test.untilIncident(/^health check of usw2-1: unhealthy/);
      expect(await namedSlots()).toEqual(['use1-2', 'usw2-2']);
    },
    CALLS_TIMEOUT_MS,
  );

  it(
    'when a SIP server dies and its recorder lives: the last slot takes them all',
    async () => {
      kill(test.slot('use1-2').sipServerPid);
      await test.untilIncident(/^health check of use1-2: unhealthy \(status 503\)/);
      expect(await namedSlots()).toEqual(['usw2-2']);
      expect((await recordCalls()).slots).toEqual(['usw2-2']);
    },
    CALLS_TIMEOUT_MS,
  );
});
