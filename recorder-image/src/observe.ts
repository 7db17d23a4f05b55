/**
 * What a recorder shows of itself: health and status on its health port, metrics, and load reports. All of it is made of the
 * same facts, looked at when somebody asks and once a second.
 */
import type { Logger } from 'pino';
import type { RecorderEnvironment } from '../../core/recorder-environment.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { type LocalFacts, REASONS } from './health/health.ts';
import { startHealthServer } from './health/health-server.ts';
import { HealthWatch } from './health/health-watch.ts';
import { CpuShare, LoopDelay } from './health/host-load.ts';
import { fleetTable, type Load, LoadReports } from './health/load-report.ts';
import { MetricLines, type RecorderReading } from './health/metric-lines.ts';
import { counter, exposition, gauge, type Metric } from './health/metrics.ts';
import { LedgerWriter, type RecordingLedger } from './health/recording-ledger.ts';
import type { SpoolSpace } from './health/spool-space.ts';
import type { MediaCapture } from './media/capture.ts';
import type { AnswerTimesTaken } from './sip/answer-times.ts';
import type { Srs } from './sip/srs.ts';
import type { Finisher } from './storage/finisher.ts';
import { recordedAt, type Spool } from './storage/spool.ts';
import { within } from './within.ts';

const LOOK_MS = 1_000;
const DISK_LIMIT_MS = 500;

/** To three decimals: people read the fleet table too. */
const legible = (value: number): number => Math.round(value * 1000) / 1000;

export interface Observed {
  environment: RecorderEnvironment;
  capture: MediaCapture;
  srs: Srs;
  finisher: Finisher;
  spool: Spool;
  space: SpoolSpace;
  /** With what the spool held at the start. */
  ledger: RecordingLedger;
  sipServerConnected: () => boolean;
  logger: Logger;
  /** Between two lines of metrics, and two writes of the ledger. Default: a minute. */
  metricsMs?: number | undefined;
  ledgerMs?: number | undefined;
}

export interface Observation {
  healthPort: number;
  /** Something may have changed: the load report says so at once, if it matters. */
  look(): void;
  /** Ends with a last load report. Nothing answers after that. */
  stop(): Promise<void>;
}

/** @throws Error naming the health port if it cannot be had */
export async function observe(observed: Observed): Promise<Observation> {
  const { environment, capture, srs, finisher, spool, space, logger } = observed;
  const delays = { second: new LoopDelay(), report: new LoopDelay(), minute: new LoopDelay() };
  const cpu = { second: new CpuShare(), report: new CpuShare(), minute: new CpuShare() };
  let [loopDelayMs, cpuShare] = [0, 0];
  const identity = {
    slot: environment.SIPREC_SLOT,
    region: environment.AWS_REGION,
    version: packageJson.version,
  };

  const facts = async (): Promise<LocalFacts> => {
    const disk = await space.look();
    return {
      sipServerConnected: observed.sipServerConnected(),
      draining: srs.draining,
      regionClosed: srs.regionClosed,
      activeRecordings: srs.active,
      callCapacity: environment.SIPREC_CALL_CAPACITY,
      mediaWorkers: capture.workers,
      mediaOverloaded: capture.isOverloaded(),
      freeRtpPortPairs: capture.freePorts(),
      rtpPortPairs: capture.portPairs,
      ...disk,
      spoolReserveBytes: space.reserveBytes,
      spoolIsFilling: space.isFilling, // after the look at the disk
      loopDelayMs,
      maxLoopDelayMs: environment.SIPREC_MAX_LOOP_DELAY_MS,
    };
  };
  let reports: LoadReports | undefined;
  let ledger: LedgerWriter | undefined;
  const health = new HealthWatch(facts, ({ state, reasons }) => {
    logger[state === 'unhealthy' ? 'warn' : 'info']({ state, reasons }, 'health has changed');
    reports?.changed();
  });
  const look = () =>
    void health.look().catch((error) => logger.error({ err: error }, 'health cannot be looked at'));

  const load = async (): Promise<Load> => {
    const { state, reasons, facts: now } = await health.look();
    return {
      ...identity,
      state,
      reasons,
      activeRecordings: now.activeRecordings,
      callCapacity: now.callCapacity,
      cpuShare: legible(cpu.report.take()),
      loopDelayMs: legible(delays.report.takeMs()),
      rtpDrops: capture.drops(),
      spoolFill: legible(space.fill(now.freeSpoolBytes ?? 0)),
    };
  };
  /** Since the call of the oldest recording in the spool began. */
  const oldestSeconds = (): number => {
    const oldestMs = Math.min(...finisher.pending.map(recordedAt));
    return Number.isFinite(oldestMs) ? Math.round((Date.now() - oldestMs) / 1000) : 0;
  };
  const status = async () => {
    const { state, reasons, facts: now } = await health.look();
    const { secondsUntilFull } = space;
    return {
      ...identity,
      state,
      reasons,
      full: srs.full,
      invites: srs.counters,
      packets: capture.packets(),
      rtpDrops: capture.drops(),
      replacedMediaWorkers: capture.replacedWorkers,
      cpuShare,
      spool: {
        ...finisher.counters,
        oldestSeconds: oldestSeconds(),
        freeBytes: now.freeSpoolBytes ?? null,
        secondsUntilFull: secondsUntilFull === undefined ? null : Math.round(secondsUntilFull),
        unusable: (await spool.unusable()).length,
      },
      ...(reports && { loadReports: reports.counters }),
      ...now,
    };
  };
  /** A disk that hangs must not keep metrics from saying so. */
  const unusable = () =>
    within(DISK_LIMIT_MS, spool.unusable(), 'the spool does not answer').then(
      ({ length }) => length,
      () => undefined,
    );
  let lastAnswers: AnswerTimesTaken | undefined;
  const reading = async (): Promise<RecorderReading> => {
    const { state, reasons, facts: now } = await health.look();
    const { answered, cancelled, refused } = srs.counters;
    const { finished, failedTries, pending } = finisher.counters;
    const { freeSpoolBytes } = now;
    lastAnswers = srs.answerTimes.take();
    return {
      counters: {
        invitesAnswered: answered,
        invitesRefused: Object.values(refused).reduce((sum, count) => sum + count, 0),
        invitesCancelled: cancelled,
        rtpPackets: capture.packets(),
        rtpDrops: capture.drops(),
        mediaWorkersReplaced: capture.replacedWorkers,
        recordingsFinished: finished,
        uploadFailures: failedTries,
        loadReportsFailed: reports?.counters.failed ?? 0,
        ledgerWritesFailed: ledger?.counters.failed ?? 0,
      },
      gauges: {
        activeRecordings: now.activeRecordings,
        callCapacity: now.callCapacity,
        healthy: Number(reasons.length === 0),
        ailing: Number(state === 'unhealthy'),
        answerTimeP99: lastAnswers?.p99Ms,
        answerTimeMax: lastAnswers?.maxMs,
        spoolPending: pending,
        spoolOldestSeconds: legible(finisher.waitingSeconds),
        spoolFreeBytes: freeSpoolBytes,
        spoolFill: freeSpoolBytes === undefined ? undefined : 100 * legible(space.fill(freeSpoolBytes)),
        unusableRecordings: await unusable(),
        eventLoopDelay: legible(delays.minute.takeMs()),
        cpu: 100 * legible(cpu.minute.take()),
      },
      refused: { ...refused },
    };
  };
  const metrics = async (): Promise<string> => {
    const { reasons, facts: now } = await health.look();
    const { answered, cancelled, refused } = srs.counters;
    const { secondsUntilFull } = space;
    const known = (name: string, help: string, value: number | undefined): Metric[] =>
      value === undefined ? [] : [gauge(name, help, value)];
    return exposition([
      gauge('siprec_build_info', 'What runs, and where: 1.', [[identity, 1]]),
      gauge(
        'siprec_healthy',
        'Whether new calls should come here, as /healthz says.',
        Number(reasons.length === 0),
      ),
      gauge(
        'siprec_unhealthy_reason',
        'Which of the reasons stand against new calls.',
        REASONS.map((reason) => [{ reason }, Number(reasons.includes(reason))]),
      ),
      gauge('siprec_active_recordings', 'Recordings running, or being set up.', now.activeRecordings),
      gauge('siprec_call_capacity', 'Recordings that may run at once.', now.callCapacity),
      counter('siprec_invites_answered_total', 'INVITEs that became recordings.', answered),
      counter('siprec_invites_cancelled_total', 'INVITEs that the SRC cancelled.', cancelled),
      counter(
        'siprec_invites_refused_total',
        'INVITEs refused, by the status of the answer.',
        Object.entries(refused).map(([code, count]) => [{ status: code }, count]),
      ),
      counter(
        'siprec_answer_seconds_total',
        'Time that SRCs have waited for their 200, all together.',
        srs.answerTimes.totalMs / 1000,
      ),
      gauge(
        'siprec_answer_seconds',
        'The same of one INVITE, in the last whole minute.',
        lastAnswers
          ? [
              [{ quantile: '0.99' }, lastAnswers.p99Ms / 1000],
              [{ quantile: '1' }, lastAnswers.maxMs / 1000],
            ]
          : [],
      ),
      counter('siprec_media_packets_total', 'RTP and RTCP packets taken in.', capture.packets()),
      counter('siprec_media_drops_total', 'Packets dropped by the kernel.', capture.drops()),
      gauge('siprec_media_workers', 'Threads that receive media.', now.mediaWorkers),
      counter(
        'siprec_media_workers_replaced_total',
        'Threads started in place of dead ones.',
        capture.replacedWorkers,
      ),
      gauge(
        'siprec_rtp_port_pairs_free',
        'Pairs of RTP ports that a stream could have.',
        now.freeRtpPortPairs,
      ),
      gauge(
        'siprec_spool_pending',
        'Recordings that have ended and are not in S3.',
        finisher.counters.pending,
      ),
      gauge('siprec_spool_oldest_seconds', 'Age of the oldest of them.', oldestSeconds()),
      counter('siprec_spool_finished_total', 'Recordings put into S3.', finisher.counters.finished),
      counter(
        'siprec_spool_failed_tries_total',
        'Tries to do so that failed.',
        finisher.counters.failedTries,
      ),
      ...known('siprec_spool_free_bytes', "Free on the spool's disk.", now.freeSpoolBytes),
      ...known('siprec_spool_seconds_until_full', 'Until only the reserve is left.', secondsUntilFull),
      gauge(
        'siprec_event_loop_delay_seconds',
        'Of the thread of SIP, 99th percentile in the last second.',
        now.loopDelayMs / 1000,
      ),
      gauge('siprec_cpu_ratio', 'Of all processors of the host, in the last second.', cpuShare),
      counter('siprec_load_reports_written_total', 'Load reports written.', reports?.counters.written ?? 0),
      counter('siprec_load_reports_failed_total', 'Load reports that failed.', reports?.counters.failed ?? 0),
    ]);
  };

  const server = await startHealthServer({
    address: environment.SIPREC_HEALTH_ADDRESS,
    port: environment.SIPREC_HEALTH_PORT,
    reasons: async () => (await health.look()).reasons,
    status,
    metrics,
  }).catch((error) => {
    for (const delay of Object.values(delays)) delay.stop();
    throw error;
  });
  const measure = () => {
    loopDelayMs = delays.second.takeMs();
    cpuShare = cpu.second.take();
    look();
  };
  const timer = setInterval(() => setImmediate(measure), LOOK_MS);
  const lines = new MetricLines({
    slot: environment.SIPREC_SLOT,
    namespace: environment.SIPREC_METRICS_NAMESPACE,
    read: reading,
    logger,
    ...(observed.metricsMs !== undefined && { intervalMs: observed.metricsMs }),
  });
  const table = environment.SIPREC_FLEET_TABLE && fleetTable(environment.SIPREC_FLEET_TABLE);
  if (table) {
    reports = new LoadReports({ write: table.writeReport, load, logger });
    ledger = new LedgerWriter(observed.ledger, {
      write: table.writeEntry,
      logger,
      ...(observed.ledgerMs !== undefined && { intervalMs: observed.ledgerMs }),
    });
  } else logger.info('SIPREC_FLEET_TABLE is not set: no load is reported, and weights stay as they are');
  return {
    healthPort: server.port,
    look,
    async stop() {
      await lines.stop();
      await Promise.all([reports?.stop(), ledger?.stop()]);
      if (table) table.close();
      clearInterval(timer);
      for (const delay of Object.values(delays)) delay.stop();
      await server.close();
    },
  };
}
