/** What a recorder's log tells CloudWatch: metrics in the embedded format, of its slot and of the region. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RECORDER_COUNTERS, RECORDER_GAUGES } from '../../../core/recorder-metrics.ts';
import { MetricLines, type RecorderReading } from '../../../recorder-image/src/health/metric-lines.ts';
import { metricPoints, sumOf } from '../../helpers/embedded-metrics.ts';
import { LogLines } from '../../helpers/logs.ts';
import { startRecorderProcess, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const ALL = [...Object.values(RECORDER_COUNTERS), ...Object.values(RECORDER_GAUGES)];
const NAMESPACE = 'SiprecHa/example';

describe('the metrics in the log of a recorder', () => {
  it('follow the calls, of the slot and of the region', async () => {
    const recorder = await startTestRecorder({
      variables: { SIPREC_CALL_CAPACITY: '1', SIPREC_METRICS_NAMESPACE: NAMESPACE },
      metricsMs: 100,
    });
    const points = () => metricPoints(recorder.logs.lines);
    const src = await Src.start(recorder.sipServer.sipPort);
    try {
      const call = await src.call();
      await call.start();
      await call.speak(5);
      // What a worker counted since its last word dies with it.
      await until(() => sumOf(points(), 'RtpPackets') > 0);
      const refused = await src.call();
      expect((await finalOf(refused.send(refused.invite()))).status).toBe(503);
      await recorder.crashMediaWorker();
      await recorder.logs.find('media worker replaced');
      await until(async () => sumOf(points(), 'MediaWorkersReplaced') === 1);
      await call.bye();
      await until(async () => sumOf(points(), 'UploadFailures') > 0); // there is no S3
      const seen = points();
      for (const set of [{ slot: 'use1-1' }, {}] as Record<string, string>[])
        expect([
          sumOf(seen, 'InvitesAnswered', set),
          sumOf(seen, 'InvitesRefused', set),
          sumOf(seen, 'InvitesCancelled', set),
          sumOf(seen, 'RecordingsFinished', set),
        ]).toEqual([1, 1, 0, 0]);
      expect(sumOf(seen, 'InvitesRefused', { status: '503' })).toBe(1);
      expect(sumOf(seen, 'RtpPackets')).toBeGreaterThan(0);
      const valuesOf = (name: string) =>
        seen.filter((point) => point.name === name).map(({ value }) => value);
      const [answered, ...others] = valuesOf('AnswerTimeMax'); // a minute without calls has none
      expect(others).toEqual([]);
      expect(answered).toBeGreaterThan(0);
      expect(answered).toBeLessThan(5_000);
      expect(new Set(valuesOf('ActiveRecordings'))).toEqual(new Set([0, 1]));
      expect(new Set(valuesOf('Ailing'))).toEqual(new Set([0, 1])); // full
      expect(valuesOf('SpoolPending').at(-1)).toBe(1);
      expect(valuesOf('UnusableRecordings').at(-1)).toBe(0);
      for (const { name, unit } of ALL)
        expect(seen).toContainEqual(
          expect.objectContaining({
            name,
            unit,
            namespace: NAMESPACE,
            dimensions: [{ slot: 'use1-1' }, {}],
          }),
        );
    } finally {
      await src.close();
      await recorder.stop();
    }
  });

  it('are one JSON object a line, with each name once, and are complete when the process ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'siprec-ha-metrics-'));
    const logFile = join(folder, 'recorder.log');
    const recorder = await startRecorderProcess({ logFile });
    const src = await Src.start(recorder.sipServer.sipPort);
    try {
      const call = await src.call();
      await call.start();
      await call.bye();
    } finally {
      await src.close();
      await recorder.stop();
    }
    const lines = readFileSync(logFile, 'utf8').split('\n');
    rmSync(folder, { recursive: true });
    const metrics = lines.filter((line) => line.includes('"_aws"'));
    expect(metrics).toHaveLength(1); // less than a minute
    expect(metrics[0]?.match(/"slot":/g)).toHaveLength(1);
    const points = metricPoints(metrics.map((line) => JSON.parse(line)));
    expect(sumOf(points, 'InvitesAnswered', { slot: 'use1-1' })).toBe(1);
  });
});

describe('metric lines', () => {
  const reading = (): RecorderReading => ({
    counters: Object.fromEntries(
      Object.keys(RECORDER_COUNTERS).map((key) => [key, 3]),
    ) as RecorderReading['counters'],
    gauges: Object.fromEntries(
      Object.keys(RECORDER_GAUGES).map((key) => [key, undefined]),
    ) as RecorderReading['gauges'],
    refused: {},
  });

  it('are written at every level of the log, and the next one also after a reading that failed', async () => {
    const logs = new LogLines();
    const logger = logs.logger().child({}, { level: 'fatal' });
    let reads = 0;
    const read = async () => {
      if (++reads === 1) throw new Error('no');
      return reading();
    };
    const lines = new MetricLines({ slot: 'use1-1', namespace: NAMESPACE, read, logger, intervalMs: 5 });
    await logs.find('metrics cannot be read');
    await until(() => metricPoints(logs.lines).length > 0);
    await lines.stop();
    const points = metricPoints(logs.lines);
    expect(sumOf(points, 'RtpPackets')).toBe(3); // once, however many lines there are
    expect(points.map(({ name }) => name)).not.toContain('Healthy'); // nobody knows
  });
});
