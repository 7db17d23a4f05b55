/** A recorder: its parts, started in order and stopped in order. */
import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import type { Logger } from 'pino';
import type { RecorderEnvironment } from '../../core/recorder-environment.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { unhealthyReasons } from './health/health.ts';
import { startHealthServer } from './health/health-server.ts';
import { MediaCapture } from './media/capture.ts';
import { connectSipServer } from './sip/sip-server.ts';
import { Srs } from './sip/srs.ts';
import { Finisher } from './storage/finisher.ts';
import { Spool } from './storage/spool.ts';

/** RTP silence after which a recording without a dialog is over. */
const ORPHAN_SILENCE_MS = 10_000;
const ORPHAN_CHECK_MS = 1_000;
/** What is not in S3 by then waits in the spool for the next start. */
const SPOOL_FLUSH_MS = 5_000;

export interface Recorder {
  healthPort: number;
  /** Resolves at the first connection to the SIP server, with the addresses that it listens on. */
  connected: Promise<string>;
  /**
   * No new calls; recordings go on to their end, or `ceilingMs` at most; then the spool is worked off.
   */
  stop(ceilingMs: number): Promise<void>;
}

/** Starts a recorder; recordings that its predecessor left in the spool are finished beside new calls. */
export async function startRecorder(environment: RecorderEnvironment, logger: Logger): Promise<Recorder> {
  const spool = new Spool(environment.SIPREC_SPOOL);
  await spool.prepare();
  const leftBehind = await spool.entries();

  const finisher = new Finisher(
    {
      // Emulators serve all buckets under one host name; an explicit endpoint means path-style addresses.
      target: {
        s3: new S3Client({ forcePathStyle: Boolean(process.env.AWS_ENDPOINT_URL) }),
        bucket: environment.SIPREC_BUCKET,
      },
      recorderVersion: packageJson.version,
    },
    logger,
  );
  const capture = await MediaCapture.start({
    workers: environment.SIPREC_MEDIA_WORKERS,
    address: environment.SIPREC_MEDIA_ADDRESS,
    portRange: { min: environment.SIPREC_RTP_PORT_MIN, max: environment.SIPREC_RTP_PORT_MAX },
    onWorkerExit: ({ streamIds, error }) =>
      logger.fatal({ err: error, streams: streamIds.length }, 'media worker died'),
    onStreamError: ({ streamId, kind, error }) => logger.error({ streamId, kind, error }, 'stream error'),
  });
  const srs = new Srs(
    {
      slot: environment.SIPREC_SLOT,
      homeRegion: environment.AWS_REGION,
      callCapacity: environment.SIPREC_CALL_CAPACITY,
      sources: environment.SIPREC_SOURCES,
      version: packageJson.version,
    },
    {
      capture,
      spool,
      mediaAddress: environment.SIPREC_MEDIA_PUBLIC_ADDRESS ?? environment.SIPREC_MEDIA_ADDRESS,
      now: () => new Date(),
      logger,
      finish: (directory) => finisher.add(directory),
    },
  );

  let sipServerConnected = false;
  const connection = Promise.withResolvers<string>();
  const sip = connectSipServer(
    {
      host: environment.DRACHTIO_HOST,
      port: environment.DRACHTIO_PORT,
      secret: environment.DRACHTIO_SECRET,
    },
    {
      onInvite: (invitation) => void srs.onInvite(invitation),
      onOptions: (request, respond) => srs.onOptions(request, respond),
      onConnect: (listeningOn) => {
        sipServerConnected = true;
        logger.info({ listeningOn }, 'SIP server connected');
        connection.resolve(listeningOn);
      },
      onDisconnect: () => {
        sipServerConnected = false;
        logger.error(
          { active: srs.active },
          'SIP server lost; running recordings go on until their media ends',
        );
        srs.onSipServerLost();
      },
    },
  );
  const orphanCheck = setInterval(() => {
    srs
      .closeSilentOrphans(ORPHAN_SILENCE_MS)
      .catch((error) => logger.error({ err: error }, 'orphan check failed'));
  }, ORPHAN_CHECK_MS);

  const facts = async () => {
    const { bavail, bsize } = await statfs(spool.directory);
    return {
      sipServerConnected,
      draining: srs.draining,
      full: srs.full,
      freeRtpPortPairs: capture.freePorts(),
      freeSpoolBytes: bavail * bsize,
    };
  };
  const health = await startHealthServer({
    address: environment.SIPREC_HEALTH_ADDRESS,
    port: environment.SIPREC_HEALTH_PORT,
    reasons: async () => unhealthyReasons(await facts()),
    status: async () => ({
      slot: environment.SIPREC_SLOT,
      region: environment.AWS_REGION,
      version: packageJson.version,
      activeRecordings: srs.active,
      callCapacity: environment.SIPREC_CALL_CAPACITY,
      invites: srs.counters,
      spool: finisher.counters,
      ...(await facts()),
    }),
  });

  if (leftBehind.length > 0)
    logger.warn({ recordings: leftBehind.length }, 'recovering what the spool holds');
  for (const directory of leftBehind) finisher.add(directory);

  return {
    healthPort: health.port,
    connected: connection.promise,
    async stop(ceilingMs) {
      logger.info({ active: srs.active }, 'draining');
      const deadline = setTimeout(() => void srs.endAll(), ceilingMs);
      await srs.drain();
      clearTimeout(deadline);
      clearInterval(orphanCheck);
      sip.disconnect();
      await Promise.race([finisher.idle(), delay(SPOOL_FLUSH_MS, undefined, { ref: false })]);
      await finisher.stop();
      await capture.stop();
      await health.close();
      logger.info(finisher.counters, 'stopped');
    },
  };
}
