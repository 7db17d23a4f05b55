/** A recorder: its parts, started in order and stopped in order. */
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RecorderEnvironment } from '../../core/recorder-environment.ts';
import packageJson from '../../package.json' with { type: 'json' };
import type { ForecastTerms } from './health/fill-forecast.ts';
import { shortages } from './health/health.ts';
import { RecordingLedger } from './health/recording-ledger.ts';
import { spoolGuard } from './health/spool-guard.ts';
import { SpoolSpace } from './health/spool-space.ts';
import { type Orders, takeOrders } from './lifecycle/orders.ts';
import { resumeRecordings } from './lifecycle/resume.ts';
import { chooseReceiver, MediaCapture } from './media/capture.ts';
import { type Observation, observe } from './observe.ts';
import { connectSipServer } from './sip/sip-server.ts';
import { Srs } from './sip/srs.ts';
import { Finisher, type RetryDelays } from './storage/finisher.ts';
import { recordingsClient } from './storage/s3-client.ts';
import { startedAtOf } from './storage/session-record.ts';
import { Spool } from './storage/spool.ts';
import { SpoolKeys } from './storage/spool-keys.ts';
import { lockSpool } from './storage/spool-lock.ts';

/** How often recordings are looked for that nobody will end, or that the disk has no room for. */
const CHECK_MS = 1_000;
/** What is on its way to S3 when a recorder stops may still arrive; the next start goes on with the rest. */
const LAST_UPLOADS_MS = 15_000;
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
  /** Between two lines of metrics in the log, and two writes of the ledger. */
  metricsMs?: number;
  ledgerMs?: number;
}

export interface Recorder {
  healthPort: number;
  /** Resolves when the instance is about to go, or by the command `drain`. `stop` is the caller's to call. */
  drainRequested: Orders['drainRequested'];
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
    metricsMs,
    ledgerMs,
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

  const ledger = new RecordingLedger({ slot: environment.SIPREC_SLOT });
  const s3 = recordingsClient(s3StallMs);
  const uploads = new AbortController();
  const finisher = new Finisher(
    {
      target: {
        s3,
        signal: uploads.signal,
        bucket: environment.SIPREC_BUCKET,
        retention: environment.SIPREC_RETENTION,
        onOrphan: ({ key, uploadId }, error) =>
          logger.warn({ err: error, key, uploadId }, 'multipart upload left behind'),
      },
      recorderVersion: packageJson.version,
      keys,
    },
    logger,
    retryDelays,
    ({ kind, directory }) => {
      if (kind !== 'failed') ledger.released(basename(directory));
    },
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
  const space = new SpoolSpace(spool, environment.SIPREC_SPOOL_RESERVE_MB * MIB, terms);
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
      ledger,
      now: () => new Date(),
      logger,
      finish: (directory, unwritten) => finisher.add(directory, unwritten),
      shortages: async () =>
        shortages({
          mediaWorkers: capture.workers,
          mediaOverloaded: capture.isOverloaded(),
          freeRtpPortPairs: capture.freePorts(),
          freeSpoolBytes: await space.freeBytes(),
          spoolReserveBytes: space.reserveBytes,
        }),
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
  for (const directory of leftBehind) {
    const startedAt = await startedAtOf(directory);
    if (startedAt) ledger.found(basename(directory), startedAt);
  }
  if (leftBehind.length > 0)
    logger.warn({ goOn: resumed.length, over: over.length }, 'recordings found in the spool');

  let sipServerConnected = false;
  const observation: Observation = await observe({
    environment,
    capture,
    srs,
    finisher,
    spool,
    space,
    ledger,
    sipServerConnected: () => sipServerConnected,
    logger,
    metricsMs,
    ledgerMs,
  }).catch(async (error) => {
    await capture.stop();
    lock.release();
    throw error;
  });
  const orders = await takeOrders({
    environment,
    onRegion: (isClosed) => {
      srs.regionClosed = isClosed;
      observation.look();
    },
    activeRecordings: () => srs.active,
    logger,
    ...(pollMs !== undefined && { pollMs }),
  });

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
        observation.look();
        logger.info({ listeningOn }, 'SIP server connected');
        connection.resolve(listeningOn);
      },
      onDisconnect: () => {
        sipServerConnected = false;
        observation.look();
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
    freeBytes: space.freeBytes,
    reserveBytes: space.reserveBytes,
    economise: (roomIsShort) => finisher.economise(roomIsShort),
    activeRecordings: () => srs.active,
    endAll: () => srs.endAll('disk-full'),
    logger,
  });
  const checks = setInterval(() => {
    srs.endOverdue().catch((error) => logger.error({ err: error }, 'overdue recordings not ended'));
    void guardSpool();
  }, CHECK_MS);

  await guardSpool(); // before any of them takes room
  for (const directory of over) finisher.add(directory);

  return {
    crashMediaWorker: () => capture.crashWorker(0),
    healthPort: observation.healthPort,
    connected: connection.promise,
    drainRequested: orders.drainRequested,
    async stop(ceilingMs) {
      logger.info({ active: srs.active }, 'draining');
      const deadline = setTimeout(() => void srs.endAll(), ceilingMs);
      const drained = srs.drain();
      observation.look(); // tells of it at once
      await drained;
      clearTimeout(deadline);
      clearInterval(checks);
      await Promise.race([finisher.idle(), delay(spoolFlushMs, undefined, { ref: false })]);
      const patience = setTimeout(() => uploads.abort(), LAST_UPLOADS_MS);
      await finisher.stop();
      clearTimeout(patience);
      sip.disconnect(); // until now whoever called was told to stay away
      await observation.stop();
      await capture.stop();
      s3.destroy();
      await orders.stop();
      lock.release();
      logger.info(finisher.counters, 'stopped');
    },
  };
}
