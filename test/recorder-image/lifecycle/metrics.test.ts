/** What a recorder tells at `/metrics` and `/status`, read as strictly as Prometheus does. */
import { REASONS } from '../../../recorder-image/src/health/health.ts';
import { type LocalRecorder, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const NAME = /^siprec_[a-z_]+$/;
const SAMPLE = /^(?<name>[a-z_]+)(?<labels>\{[a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*\})? (?<value>\S+)$/;

/** Samples by name and labels. Fails at what is no metric, or has no help and type before it. */
function parse(text: string): Map<string, number> {
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const samples = new Map<string, number>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      expect(helped.has(name)).toBe(false);
      helped.add(name);
    } else if (kind === 'TYPE') {
      expect(name).toMatch(NAME);
      expect(helped.has(name)).toBe(true);
      expect(rest).toBe(name.endsWith('_total') ? 'counter' : 'gauge');
      types.set(name, rest);
    } else {
      const { name: of = line, labels = '', value = '' } = SAMPLE.exec(line)?.groups ?? {};
      expect(types.has(of)).toBe(true);
      expect(samples.has(of + labels)).toBe(false);
      expect(Number.isFinite(Number(value))).toBe(true);
      samples.set(of + labels, Number(value));
    }
  }
  return samples;
}

let recorder: LocalRecorder;
let src: Src;
beforeEach(async () => {
  recorder = await startTestRecorder({ variables: { SIPREC_CALL_CAPACITY: '2' } });
  src = await Src.start(recorder.sipServer.sipPort);
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

const scrape = async () => parse(await (await fetch(`${recorder.healthUrl}/metrics`)).text());

it('follow the calls', async () => {
  const before = await scrape();
  expect(before.get('siprec_healthy')).toBe(1);
  expect(before.get('siprec_active_recordings')).toBe(0);
  expect(before.get('siprec_call_capacity')).toBe(2);
  expect([...before.keys()].filter((key) => key.startsWith('siprec_build_info'))).toEqual([
    expect.stringMatching(/^siprec_build_info\{slot="use1-1",region="us-east-1",version="\d+\.\d+\.\d+"\}$/),
  ]);
  for (const reason of REASONS) expect(before.get(`siprec_unhealthy_reason{reason="${reason}"}`)).toBe(0);

  const calls = [await src.call(), await src.call()];
  for (const call of calls) await call.start();
  await calls[0]?.speak(5);
  const refused = await src.call();
  expect((await finalOf(refused.send(refused.invite()))).status).toBe(503);
  await recorder.crashMediaWorker();
  await recorder.logs.find('media worker replaced');
  await until(async () => ((await scrape()).get('siprec_cpu_ratio') ?? 0) > 0);
  const during = await scrape();
  expect(Object.fromEntries(during)).toMatchObject({
    siprec_healthy: 0,
    'siprec_unhealthy_reason{reason="full"}': 1,
    'siprec_unhealthy_reason{reason="draining"}': 0,
    siprec_active_recordings: 2,
    siprec_invites_answered_total: 2,
    siprec_invites_cancelled_total: 0,
    'siprec_invites_refused_total{status="503"}': 1,
    siprec_media_drops_total: 0,
    siprec_answer_seconds_total: expect.any(Number),
    siprec_media_workers: 1,
    siprec_media_workers_replaced_total: 1,
    siprec_spool_pending: 0,
    siprec_load_reports_written_total: 0,
  });
  for (const name of ['siprec_spool_free_bytes', 'siprec_rtp_port_pairs_free', 'siprec_answer_seconds_total'])
    expect(during.get(name)).toBeGreaterThan(0);
  expect(during.get('siprec_event_loop_delay_seconds')).toBeLessThan(60);
  for (const call of calls) await call.bye();
  await until(async () => (await scrape()).get('siprec_spool_pending') === 2); // there is no S3
  expect((await scrape()).get('siprec_spool_failed_tries_total')).toBeGreaterThanOrEqual(0);
});

it('are told by /status too, with all facts', async () => {
  const { body } = await recorder.health('/status');
  expect(body).toMatchObject({
    slot: 'use1-1',
    region: 'us-east-1',
    state: 'serving',
    reasons: [],
    sipServerConnected: true,
    draining: false,
    regionClosed: false,
    activeRecordings: 0,
    callCapacity: 2,
    full: false,
    mediaWorkers: 1,
    mediaOverloaded: false,
    replacedMediaWorkers: 0,
    packets: 0,
    rtpDrops: 0,
    freeRtpPortPairs: 20,
    rtpPortPairs: 20,
    spoolIsFilling: false,
    maxLoopDelayMs: 60_000,
    invites: { answered: 0, cancelled: 0, refused: {} },
    spool: { pending: 0 },
  });
});
