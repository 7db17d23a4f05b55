/** A recorder: its parts, started in order and stopped in order. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RecorderEnvironment } from '../../core/recorder-environment.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { FillForecast, type ForecastTerms } from './health/fill-forecast.ts';
import { rememberedFreeSpace } from './health/free-space.ts';
import { type LocalFacts, shortages } from './health/health.ts';
import { startHealthServer } from './health/health-server.ts';
import { HealthWatch } from './health/health-watch.ts';
import { CpuShare, LoopDelay } from './health/host-load.ts';
import { fleetTable, type Load, LoadReports, spoolFill } from './health/load-report.ts';
import { spoolGuard } from './health/spool-guard.ts';
import { type ControlSocket, openControlSocket } from './lifecycle/control-socket.ts';
import { ssmParameter, watchRegionSwitch } from './lifecycle/region-switch.ts';
import { resumeRecordings } from './lifecycle/resume.ts';
import { watchTermination } from './lifecycle/termination-notice.ts';
import { chooseReceiver, MediaCapture } from './media/capture.ts';
import { connectSipServer } from './sip/sip-server.ts';
import { Srs } from './sip/srs.ts';
import { Finisher, type RetryDelays } from './storage/finisher.ts';
import { recordingsClient } from './storage/s3-client.ts';
import { recordedAt, Spool } from './storage/spool.ts';
import { SpoolKeys } from './storage/spool-keys.ts';
import { lockSpool } from './storage/spool-lock.ts';
import { within } from './within.ts';

/** How often recordings are looked for that nobody will end, or that the disk has no room for. */
const CHECK_MS = 1_000;
/** What is on its way to S3 when a recorder stops may still arrive; the next start goes on with the rest. */
const LAST_UPLOADS_MS = 15_000;
/** A Spot Instance goes at the time that it was told: this long before it, what runs is ended, and then finished. */
const TERMINATION_MARGIN_MS = 30_000;
/** A disk that does not say in this time how much is free has trouble. Route 53 waits for 2 s. */
const DISK_LIMIT_MS = 500;
const MIB = 1024 * 1024;
/** What a full disk says to who writes. */
const DISK_FULL = ['ENOSPC', 'EDQUOT'];

/** Times that tests shorten. */
export interface RecorderTimes {
  /** RTP silence after which a recording without a dialog is over. Default: as the environment says. */
  orphanSilenceMs?: number;
  /** Between the tries to finish a recording. */
  retryDelays?: RetryDelays;
  /** After the last call; what is not in S3 by then waits in the spool for the next start. Default 5 s. */
  spoolFlushMs?: number;
  /** After which a SIP server that says nothing is lost; more than the 5 s between two pings. */
  sipSilenceMs?: number;
  /** After which a connection to S3 that carries nothing is given up. */
  s3StallMs?: number;
  /** When the spool's disk is said to be filling. */
  forecast?: Partial<ForecastTerms>;
  /** Between two looks at the region switch, and at the instance's metadata. */
  pollMs?: number;
}

/** Somebody other than this process's parent wants the recorder to stop. */
export interface DrainRequest {
  why: string;
  /** There is no more time than that for running recordings; absent if nobody says so. */
  ceilingMs?: number;
}

export interface Recorder {
  healthPort: number;
  /** Resolves when the instance is about to go, or by the command `drain`. `stop` is the caller's to call. */
  drainRequested: Promise<DrainRequest>;
  /** Resolves at the first connection to the SIP server, with the addresses that it listens on. */
  connected: Promise<string>;
  /**
   * No new calls; recordings go on to their end, or `ceilingMs` at most; then the spool is worked off.
   */
  stop(ceilingMs: number): Promise<void>;
  /** Kills a worker thread that receives media, as a crash would. For drills. */
  crashMediaWorker(): Promise<void>;
}

/**
 * Starts a recorder. What its predecessor left in the spool goes on where media still comes, and is finished otherwise,
 * beside new calls.
 * @throws SpoolInUseError
 * @throws Error naming what cannot be had: the spool, a media worker, the health port, a source's network
 */
export async function startRecorder(
  environment: RecorderEnvironment,
  logger: Logger,
  {
    orphanSilenceMs = environment.SIPREC_ORPHAN_SILENCE_SECONDS * 1000,
    retryDelays,
    spoolFlushMs = 5_000,
    sipSilenceMs,
    s3StallMs,
    forecast: terms,
    pollMs,
  }: RecorderTimes = {},
): Promise<Recorder> {
  const keys = SpoolKeys.from(environment.SIPREC_SPOOL_KEY);
  if (!keys.canSeal)
    logger.warn(
      'SIPREC_SPOOL_KEY is not set: the keys of encrypted calls lie in the spool as they were sent',
    );
  const spool = new Spool(environment.SIPREC_SPOOL, keys);
  await spool.prepare();
  const lock = lockSpool(spool.directory);
  await spool.sweep();
  const leftBehind = await spool.entries();

  const s3 = recordingsClient(s3StallMs);
  const uploads = new AbortController();
  const finisher = new Finisher(
    {
      target: {
        s3,
        signal: uploads.signal,
        bucket: environment.SIPREC_BUCKET,
        onOrphan: ({ key, uploadId }, error) =>
          logger.warn({ err: error, key, uploadId }, 'multipart upload left behind'),
      },
      recorderVersion: packageJson.version,
      keys,
    },
    logger,
    retryDelays,
  );
  const maxCallMs = environment.SIPREC_MAX_CALL_SECONDS * 1000;
  const { receiver, why } = chooseReceiver(environment.SIPREC_MEDIA_RECEIVER);
  logger.info({ receiver, why }, 'media receiver');
  const capture = await MediaCapture.start({
    workers: environment.SIPREC_MEDIA_WORKERS,
    address: environment.SIPREC_MEDIA_ADDRESS,
    portRange: { min: environment.SIPREC_RTP_PORT_MIN, max: environment.SIPREC_RTP_PORT_MAX },
    receiver,
    portRestMs: environment.SIPREC_PORT_COOLDOWN_SECONDS * 1000,
    maxStallMs: environment.SIPREC_MAX_STALL_MS,
    onWorkerExit: ({ streamIds, error }) =>
      logger.fatal({ err: error, streams: streamIds.length }, 'media worker died'),
    onWorkerReplaced: ({ streams }) => logger.warn({ streams }, 'media worker replaced'),
    onStreamError: ({ streamId, kind, error }) => {
      logger.error({ streamId, kind, error }, 'stream error');
      if (kind === 'write' && DISK_FULL.includes(error.code)) void srs.endStream(streamId, 'disk-full');
    },
  });
  if (capture.warning) logger.warn({ receiver }, capture.warning);
  const spoolReserveBytes = environment.SIPREC_SPOOL_RESERVE_MB * MIB;
  const forecast = new FillForecast(terms);
  let spoolTotalBytes = 0;
  const freeSpoolBytes = rememberedFreeSpace(async () => {
    const { freeBytes, totalBytes } = await spool.space();
    spoolTotalBytes = totalBytes;
    forecast.add(freeBytes - spoolReserveBytes, performance.now());
    return freeBytes;
  });
  const resources = () => ({
    mediaWorkers: capture.workers,
    mediaOverloaded: capture.isOverloaded(),
    freeRtpPortPairs: capture.freePorts(),
    spoolReserveBytes,
  });
  const srs = new Srs(
    {
      slot: environment.SIPREC_SLOT,
      homeRegion: environment.AWS_REGION,
      callCapacity: environment.SIPREC_CALL_CAPACITY,
      sources: environment.SIPREC_SOURCES,
      limits: {
        silenceMs: environment.SIPREC_SILENCE_SECONDS * 1000,
        orphanSilenceMs,
        maxCallMs,
      },
    },
    {
      capture,
      spool,
      mediaAddress: environment.SIPREC_MEDIA_PUBLIC_ADDRESS ?? environment.SIPREC_MEDIA_ADDRESS,
      now: () => new Date(),
      logger,
      finish: (directory, unwritten) => finisher.add(directory, unwritten),
      shortages: async () => shortages({ ...resources(), freeSpoolBytes: await freeSpoolBytes() }),
    },
  );

  // Before any new call could be given their ports.
  const { resumed, over } = await resumeRecordings(leftBehind, maxCallMs, {
    capture,
    spool,
    keys,
    logger,
    now: () => new Date(),
  });
  for (const recording of resumed) srs.adopt(recording);
  if (leftBehind.length > 0)
    logger.warn({ goOn: resumed.length, over: over.length }, 'recordings found in the spool');

  let sipServerConnected = false;
  const loopDelay = new LoopDelay();
  let loopDelayMs = 0;
  const facts = async (): Promise<LocalFacts> => {
    // Health is told whether or not the disk answers.
    const disk = await within(DISK_LIMIT_MS, freeSpoolBytes(), 'the disk of the spool does not answer').then(
      (bytes) => ({ freeSpoolBytes: bytes }),
      (error: Error) => ({ diskError: error.message }),
    );
    return {
      sipServerConnected,
      draining: srs.draining,
      regionClosed: srs.regionClosed,
      activeRecordings: srs.active,
      callCapacity: environment.SIPREC_CALL_CAPACITY,
      ...resources(),
      rtpPortPairs: capture.portPairs,
      ...disk,
      spoolIsFilling: forecast.isFilling, // after the look at the disk
      loopDelayMs,
      maxLoopDelayMs: environment.SIPREC_MAX_LOOP_DELAY_MS,
    };
  };
  let reports: LoadReports | undefined;
  const health = new HealthWatch(facts, ({ state, reasons }) => {
    logger[state === 'unhealthy' ? 'warn' : 'info']({ state, reasons }, 'health has changed');
    reports?.changed();
  });
  /** Tells at once what is new. */
  const look = () =>
    health.look().catch((error) => logger.error({ err: error }, 'health cannot be looked at'));
  const spoolStatus = async (freeBytes: number | null) => {
    const oldestMs = Math.min(...finisher.pending.map(recordedAt));
    return {
      ...finisher.counters,
      /** Since its call began. */
      oldestSeconds: Number.isFinite(oldestMs) ? Math.round((Date.now() - oldestMs) / 1000) : 0,
      freeBytes,
      secondsUntilFull: forecast.secondsLeft === undefined ? null : Math.round(forecast.secondsLeft),
      unusable: (await spool.unusable()).length,
    };
  };
  const load = async (): Promise<Load> => {
    const { state, reasons, facts: now } = await health.look();
    return {
      slot: environment.SIPREC_SLOT,
      region: environment.AWS_REGION,
      state,
      reasons,
      activeRecordings: now.activeRecordings,
      callCapacity: now.callCapacity,
      cpuShare: cpuShare.take(),
      loopDelayMs: reportedLoopDelay.takeMs(),
      rtpDrops: capture.drops(),
      spoolFill: spoolFill(now.freeSpoolBytes ?? 0, spoolTotalBytes, spoolReserveBytes),
      version: packageJson.version,
    };
  };
  const healthServer = await startHealthServer({
    address: environment.SIPREC_HEALTH_ADDRESS,
    port: environment.SIPREC_HEALTH_PORT,
    reasons: async () => (await health.look()).reasons,
    status: async () => {
      const { state, reasons, facts: now } = await health.look();
      return {
        slot: environment.SIPREC_SLOT,
        region: environment.AWS_REGION,
        version: packageJson.version,
        state,
        reasons,
        full: srs.full,
        invites: srs.counters,
        rtpPackets: capture.packets(),
        rtpDrops: capture.drops(),
        spool: await spoolStatus(now.freeSpoolBytes ?? null),
        ...(reports && { loadReports: reports.counters }),
        ...now,
      };
    },
  }).catch(async (error) => {
    loopDelay.stop();
    await capture.stop();
    lock.release();
    throw error;
  });

  const cpuShare = new CpuShare();
  const reportedLoopDelay = new LoopDelay();
  const table = environment.SIPREC_FLEET_TABLE && fleetTable(environment.SIPREC_FLEET_TABLE);
  if (table) reports = new LoadReports({ write: table.write, load, logger });
  else logger.info('SIPREC_FLEET_TABLE is not set: no load is reported, and weights stay as they are');

  const switchName = environment.SIPREC_REGION_SWITCH;
  const parameter = switchName && ssmParameter(switchName);
  const regionSwitch =
    parameter &&
    watchRegionSwitch({
      name: switchName,
      read: parameter.read,
      onChange: (value) => {
        srs.regionClosed = value === 'closed';
        logger.warn({ active: srs.active }, `the region is ${value}`);
        void look();
      },
      logger,
      ...(pollMs !== undefined && { intervalMs: pollMs }),
    });
  if (regionSwitch)
    await regionSwitch.first; // a closed region gets no call from a recorder that starts
  else logger.info('SIPREC_REGION_SWITCH is not set: this recorder cannot be told to close its region');

  const drainRequest = Promise.withResolvers<DrainRequest>();
  let stopWatchingTermination = () => {};
  if (environment.SIPREC_INSTANCE_METADATA)
    stopWatchingTermination = watchTermination({
      endpoint: environment.SIPREC_INSTANCE_METADATA,
      onNotice: ({ why, at }) => {
        logger.warn({ at }, why);
        const leftMs = at && Math.max(0, at.getTime() - Date.now() - TERMINATION_MARGIN_MS);
        drainRequest.resolve({ why, ...(leftMs !== undefined && { ceilingMs: leftMs }) });
      },
      logger,
      ...(pollMs !== undefined && { intervalMs: pollMs }),
    });
  let control: ControlSocket | undefined;
  try {
    control = await openControlSocket(spool.directory, () => {
      logger.info({ active: srs.active }, 'drain: the command has come');
      drainRequest.resolve({ why: 'the command drain' });
      return srs.active;
    });
  } catch (error) {
    logger.warn({ err: error }, 'the command drain will not reach this recorder; SIGTERM does');
  }

  const connection = Promise.withResolvers<string>();
  const sip = connectSipServer(
    {
      host: environment.DRACHTIO_HOST,
      port: environment.DRACHTIO_PORT,
      secret: environment.DRACHTIO_SECRET,
      ...(sipSilenceMs !== undefined && { maxSilenceMs: sipSilenceMs }),
    },
    {
      onInvite: (invitation) => void srs.onInvite(invitation),
      onRequest: (request, respond) => void srs.onRequest(request, respond),
      onConnect: (listeningOn) => {
        sipServerConnected = true;
        void look();
        logger.info({ listeningOn }, 'SIP server connected');
        connection.resolve(listeningOn);
      },
      onDisconnect: () => {
        sipServerConnected = false;
        void look();
        logger.error(
          { active: srs.active },
          'SIP server lost; running recordings go on until their media ends',
        );
        srs.onSipServerLost();
      },
      onError: (error) => logger.error({ err: error }, 'SIP server cannot be used'),
    },
  );
  const guardSpool = spoolGuard({
    freeBytes: freeSpoolBytes,
    reserveBytes: spoolReserveBytes,
    economise: (roomIsShort) => finisher.economise(roomIsShort),
    activeRecordings: () => srs.active,
    endAll: () => srs.endAll('disk-full'),
    logger,
  });
  const checks = setInterval(() => {
    srs.endOverdue().catch((error) => logger.error({ err: error }, 'overdue recordings not ended'));
    void guardSpool();
  }, CHECK_MS);
  const watch = () => {
    loopDelayMs = loopDelay.takeMs();
    void look();
  };
  const watching = setInterval(() => setImmediate(watch), CHECK_MS);

  await guardSpool(); // before any of them takes room
  for (const directory of over) finisher.add(directory);

  return {
    crashMediaWorker: () => capture.crashWorker(0),
    healthPort: healthServer.port,
    connected: connection.promise,
    drainRequested: drainRequest.promise,
    async stop(ceilingMs) {
      logger.info({ active: srs.active }, 'draining');
      const deadline = setTimeout(() => void srs.endAll(), ceilingMs);
      const drained = srs.drain();
      void look(); // tells of it at once
      await drained;
      clearTimeout(deadline);
      clearInterval(checks);
      sip.disconnect();
      await Promise.race([finisher.idle(), delay(spoolFlushMs, undefined, { ref: false })]);
      const patience = setTimeout(() => uploads.abort(), LAST_UPLOADS_MS);
      await finisher.stop();
      clearTimeout(patience);
      await reports?.stop();
      clearInterval(watching);
      if (table) table.close();
      if (regionSwitch) regionSwitch.stop();
      if (parameter) parameter.close();
      for (const measure of [loopDelay, reportedLoopDelay]) measure.stop();
      await capture.stop();
      await healthServer.close();
      s3.destroy();
      stopWatchingTermination();
      await control?.close();
      lock.release();
      logger.info(finisher.counters, 'stopped');
    },
  };
}
