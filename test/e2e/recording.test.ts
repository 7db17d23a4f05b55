/** Calls in, recordings out: SIPp and the simulator, both transports, every shape, both regions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiGet } from '../../local/api-client.ts';
import { checkRecording, type ExpectedTone } from '../../local/audio-check/check.ts';
import { readWav } from '../../local/audio-check/wav.ts';
import { queryDns } from '../../local/broadworks/dns-client.ts';
import { tonePayload } from '../../local/broadworks/rtp-tone.ts';
import { type CallResult, placeCalls } from '../../local/broadworks/simulator.ts';
import { verifyCalls } from '../../local/verify.ts';
import { CLOUD_START_TIMEOUT_MS, DOMAIN, startTestCloud, type TestCloud } from './cloud.ts';
import { eventually } from './eventually.ts';
import { playScenario } from './sipp.ts';

const CALLS_TIMEOUT_MS = 60_000;
const REGIONS = ['us-east-1', 'us-west-2'];

let test: TestCloud;

beforeAll(async () => {
  test = await startTestCloud();
}, CLOUD_START_TIMEOUT_MS);

afterAll(() => test?.stop(), 30_000);

interface Found {
  recordingId: string;
  sipCallId: string;
  status: string;
  homeRegion: string;
  slot: string;
  direction: string;
  participants: { number: string }[];
}

/** The recording of a call, once it is in a region's index. */
const findRecording = (region: string, wanted: string): Promise<Found> =>
  eventually(`the recording of ${wanted} in ${region}`, async () => {
    const { items } = (await apiGet(test.api(region), '/recordings', { limit: '100' })) as { items: Found[] };
    return items.find(({ sipCallId }) => sipCallId === wanted);
  });

async function audioProblems(
  region: string,
  recordingId: string,
  expected: ExpectedTone[],
  toleranceMs: number,
) {
  const { url } = (await apiGet(test.api(region), `/recordings/${recordingId}/audio`)) as { url: string };
  const wav = readWav(Buffer.from(await (await fetch(url)).arrayBuffer()));
  return checkRecording(wav, { expected, durationMs: 3_000, toleranceMs }).problems;
}

describe('SIPp', () => {
  const first = { channel: 0, frequencyHz: 400 };
  const SCENARIOS = [
    { scenario: 'broadworks-dual', direction: 'outgoing', tones: [first, { channel: 1, frequencyHz: 1000 }] },
    { scenario: 'broadworks-single', direction: 'incoming', tones: [first] },
    { scenario: 'rfc7866', direction: 'unknown', tones: [first] },
  ];
  const CALLS = SCENARIOS.flatMap((scenario) =>
    (['udp', 'tcp'] as const).map((transport, i) => ({
      ...scenario,
      transport,
      slot: ['use1-1', 'usw2-1'][i] as string,
      sipCallId: `${scenario.scenario}-${transport}@127.0.0.1`,
    })),
  );

  it('plays the tone that the scenarios mean', () => {
    const seconds = Buffer.concat(
      Array.from({ length: 50 }, (_, packet) => tonePayload('pcmu', [400], packet * 160)),
    );
    expect(readFileSync(join(import.meta.dirname, 'sipp/tone-400hz.pcmu'))).toEqual(seconds);
  });

  it(
    'has its calls answered and ended',
    async () => {
      await Promise.all(
        CALLS.map(({ scenario, transport, slot, sipCallId }) =>
          playScenario(scenario, transport, test.slot(slot).ports.sip, sipCallId),
        ),
      );
    },
    CALLS_TIMEOUT_MS,
  );

  it.each(CALLS)(
    '$scenario over $transport is recorded, and found in both regions with its audio',
    async ({ sipCallId, slot, direction, tones }) => {
      for (const region of REGIONS) {
        const recording = await findRecording(region, sipCallId);
        expect(recording).toMatchObject({ status: 'complete', slot, direction });
        expect(recording.homeRegion).toBe(slot.startsWith('use1') ? 'us-east-1' : 'us-west-2');
        const numbers = recording.participants.map(({ number }) => number);
        expect(numbers.sort()).toEqual(['+12025550101', '+12025550102']);
        // The second stream of the dual scenario begins when its own program has started, up to a second later.
        const toleranceMs = tones.length > 1 ? 1_000 : 60;
        expect(await audioProblems(region, recording.recordingId, tones, toleranceMs)).toEqual([]);
      }
    },
    CALLS_TIMEOUT_MS,
  );
});

describe('the API', () => {
  it.each(REGIONS)(
    'of %s finds a recording by number, direction and recorder, and by its call',
    async (region) => {
      const wanted = 'broadworks-dual-tcp@127.0.0.1';
      const { recordingId, slot } = await findRecording(region, wanted);
      const asked = { number: '+12025550101', direction: 'outgoing', slot, minDurationMs: '1000' };
      const { items } = (await apiGet(test.api(region), '/recordings', asked)) as { items: Found[] };
      expect(items.map((item) => item.recordingId)).toContain(recordingId);
      const call = await apiGet(test.api(region), `/calls/${encodeURIComponent(wanted)}`);
      const { recordings } = call as { recordings: Found[] };
      expect(recordings.map((item) => item.recordingId)).toContain(recordingId);
    },
  );
});

describe('the BroadWorks simulator', () => {
  const KINDS = (['udp', 'tcp'] as const).flatMap((transport) =>
    (['dual', 'single'] as const).flatMap((streams) =>
      (['broadworks', 'rfc7866'] as const).map((shape) => ({ transport, streams, shape })),
    ),
  );
  const since = new Date();
  const results = new Map<(typeof KINDS)[number], CallResult[]>();

  it(
    'places calls of every kind, which recorders of both regions take',
    async () => {
      await Promise.all(
        KINDS.map(async (kind, i) => {
          const codec = i % 2 === 0 ? 'pcmu' : 'pcma';
          const calls = { ...kind, codec, calls: 2, durationMs: 1_500, log: () => {} } as const;
          // Spread over the SRV records of equal weight.
          const random = () => i / KINDS.length;
          results.set(
            kind,
            await placeCalls({ ...calls, domain: DOMAIN, dnsServer: test.cloud.dns, random }),
          );
        }),
      );
      const outcomes = [...results.values()].flat().map(({ outcome }) => outcome);
      expect(outcomes).toEqual(Array(2 * KINDS.length).fill('recorded'));
      const slots = new Set([...results.values()].flat().map(({ recorder }) => recorder?.target));
      expect([...slots].map((target) => target?.slice(0, 4)).sort()).toEqual(
        expect.arrayContaining(['use1', 'usw2']),
      );
    },
    CALLS_TIMEOUT_MS,
  );

  it.each(KINDS)(
    'has its $streams $shape calls over $transport recorded as they were, in both regions',
    async (kind) => {
      const { signal } = new AbortController();
      const options = { since, streams: kind.streams, signal };
      // RFC 7865 metadata does not tell who called whom.
      const direction = kind.shape === 'rfc7866' ? [expect.stringMatching(/^direction unknown/)] : [];
      for (const region of REGIONS) {
        const verified = await verifyCalls(test.api(region), results.get(kind) as CallResult[], options);
        expect(verified.map(({ problems }) => problems)).toEqual([direction, direction]);
      }
    },
    CALLS_TIMEOUT_MS,
  );
});

describe('DNS', () => {
  it.each(['udp', 'tcp'])(
    'answers for _sip._%s with every healthy slot and its address',
    async (transport) => {
      const { rcode, answers, additionals } = await queryDns(
        test.cloud.dns,
        `_sip._${transport}.${DOMAIN}`,
        'SRV',
      );
      expect(rcode).toBe('NOERROR');
      const slots = test.cloud.slots.map(({ name, ports }) => ({
        priority: 10,
        weight: 100,
        port: ports.sip,
        target: `${name}.rec.example.com`,
      }));
      const records = answers.map((answer) => (answer.type === 'SRV' ? answer.data : undefined));
      expect(records).toHaveLength(slots.length);
      expect(records).toEqual(expect.arrayContaining(slots));
      expect(additionals.map((record) => (record.type === 'A' ? [record.name, record.data] : []))).toEqual(
        expect.arrayContaining(slots.map(({ target }) => [target, '127.0.0.1'])),
      );
    },
  );
});
