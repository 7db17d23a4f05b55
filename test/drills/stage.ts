/**
 * What a drill is played on: a link to S3 that breaks, a SIP server in a process of its own, recorders that can be killed, and
 * calls whose media is sent in real time.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { parse } from 'sdp-transform';
import type { RecorderVariables } from '../../core/recorder-environment.ts';
import type { Child } from '../../local/cloud/child.ts';
import type { PortRange } from '../../local/cloud/ports.ts';
import { findDrachtio, startSipServerChild } from '../../local/cloud/sip-server-child.ts';
import type { TestEmulator } from '../helpers/emulator.ts';
import {
  freePortRange,
  REGION,
  type RecorderProcess,
  SECRET,
  startRecorderProcess,
} from '../helpers/recorder.ts';
import { finalOf, Src, type SrcCall } from '../helpers/src.ts';
import { manifestKeys } from './bucket.ts';
import { RtpSource } from './rtp-source.ts';
import { S3Link } from './s3-link.ts';

const SLOT = 'drill';
/** Of a spool's owner. */
const NOT_RECORDINGS = ['lock', 'control'];
/** Above those of other tests, which look for free ones by taking hundreds for a moment. */
const FIRST_PORT = 21_000;
const PORT_TRIES = 3;
/** INVITEs under way at the same time. */
const PLACING_AT_ONCE = 16;
/** Besides the calls of the drill. */
const SPARE_CALLS = 20;

/** One stream of a call: its number at the RTP source, and where it is sent to. */
export interface DrillStream {
  stream: number;
  rtpPort: number;
}

/** A call that was answered. */
export interface DrillCall {
  call: SrcCall;
  streams: DrillStream[];
  /** When each packet of a stream was sent, in the order of `streams`; there as soon as they have ended. */
  sentAtMs: Float64Array[];
  /** The end of its media, once begun. */
  stopping?: Promise<void>;
  /** When the BYE of the recorder came, with which the media ends; milliseconds since the epoch. */
  endedByRecorderAtMs?: number;
}

export interface StageOptions {
  name: string;
  calls: number;
  /** Of all recorders. */
  variables?: NodeJS.ProcessEnv & RecorderVariables;
  signal: AbortSignal;
}

export interface Stage {
  /** A folder for whatever a drill needs; it is kept where the drill does not pass. */
  directory: string;
  spool: string;
  bucket: string;
  /** Beside the link. */
  s3: S3Client;
  link: S3Link;
  src: Src;
  signal: AbortSignal;
  /** Environment that differs from a test's recorder. */
  recorderVariables(): NodeJS.ProcessEnv & RecorderVariables;
  /** Ready for calls when it resolves. All recorders have the same ports; their spool is the stage's, unless another is given. */
  startRecorder(given?: { spool?: string; variables?: RecorderVariables }): Promise<RecorderProcess>;
  sipServer(): Child<true>;
  startSipServer(): Promise<void>;
  /** Places calls and begins to send their media as soon as each is answered. */
  placeCalls(calls: number): Promise<DrillCall[]>;
  /** Offers a call that is expected to be refused. @returns the status of the answer; a call that is taken is ended at once */
  offerCall(): Promise<number>;
  /** Ends the media of calls that still have some. */
  stopMedia(calls: readonly DrillCall[]): Promise<void>;
  /** The same, and a BYE for each. */
  hangUp(calls: readonly DrillCall[]): Promise<void>;
  /** Called when the stage is disposed of, in the opposite order. */
  onDispose(close: () => Promise<unknown> | unknown): void;
  /** Waits, and ends early when the drill is broken off. */
  pause(ms: number): Promise<void>;
  /** Waits for so many manifests. @returns how many there are, at most after `limitMs` */
  manifests(count: number, limitMs: number): Promise<number>;
  /** What is in a spool, without the lock of the recorder that runs; waited for to go until `limitMs` have passed. */
  leftInSpool(spool: string, limitMs: number): Promise<string[]>;
  dispose(keep: boolean): Promise<void>;
}

/** Starts everything but the recorder. */
export async function startStage(emulator: TestEmulator, options: StageOptions): Promise<Stage> {
  const { signal, name } = options;
  const directory = mkdtempSync(join(tmpdir(), `siprec-ha-drill-${name}-`));
  const spool = join(directory, 'spool');
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const dispose = async (keep: boolean) => {
    for (const close of closers.splice(0).reverse()) await close();
    if (!keep) rmSync(directory, { recursive: true, force: true });
  };
  try {
    const bucket = `drill-${name}-${Date.now()}`;
    const s3 = emulator.s3(REGION);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const link = await S3Link.start(emulator.endpoint);
    closers.push(() => link.close());
    let sipServers = 0;
    const sipServerAt = (ports: Ports) =>
      startSipServerChild(findDrachtio(process.env), {
        name: SLOT,
        sipPort: ports.sip,
        adminPort: ports.sipAdmin,
        secret: SECRET,
        directory,
        logFile: join(directory, `sip-server-${++sipServers}.log`),
        signal,
      });
    let { ports, sipServer } = await startFirst(options.calls, sipServerAt, signal);
    closers.push(() => end(sipServer));

    const src = await Src.start(ports.sip);
    closers.push(() => src.close());
    const rtp = new RtpSource();
    closers.push(() => rtp.close());

    const recorderVariables = () => ({
      SIPREC_RTP_PORT_MIN: String(ports.rtp.min),
      SIPREC_RTP_PORT_MAX: String(ports.rtp.max),
      SIPREC_CALL_CAPACITY: String(options.calls + SPARE_CALLS),
      SIPREC_DRAIN_SECONDS: '0',
      UV_THREADPOOL_SIZE: '16', // as in the image
      ...options.variables,
    });
    let recorders = 0;

    const stop = async (calls: readonly DrillCall[]): Promise<void> => {
      const sent = await rtp.stop(calls.flatMap(({ streams }) => streams.map(({ stream }) => stream)));
      const sentOf = new Map(sent.map(({ stream, sentAtMs }) => [stream, sentAtMs]));
      for (const call of calls)
        call.sentAtMs = call.streams.map(({ stream }) => sentOf.get(stream) as Float64Array);
    };
    const stopMedia = async (calls: readonly DrillCall[]): Promise<void> => {
      const running = calls.filter(({ stopping }) => stopping === undefined);
      const stopping = stop(running);
      for (const call of running) call.stopping = stopping;
      await Promise.all(calls.map((call) => call.stopping));
    };

    const placeCall = async (): Promise<DrillCall> => {
      const opened = await rtp.open(2);
      const call = src.callFromPorts(opened.map(({ port }) => port));
      const { media } = parse((await call.start()).body.toString());
      const streams = opened.map(({ stream }, mLine) => ({ stream, rtpPort: media[mLine]?.port ?? 0 }));
      await rtp.start(streams.map(({ stream, rtpPort }) => ({ stream, port: rtpPort })));
      const placed: DrillCall = { call, streams, sentAtMs: [] };
      void call.endedByRecorder.promise.then(() => {
        placed.endedByRecorderAtMs = Date.now();
        return stopMedia([placed]);
      });
      return placed;
    };

    return {
      directory,
      spool,
      bucket,
      s3,
      link,
      src,
      signal,
      recorderVariables,
      sipServer: () => sipServer,
      async startSipServer() {
        sipServer = await sipServerAt(ports);
      },
      async startRecorder(given = {}) {
        const recorder = await startRecorderProcess({
          endpoint: link.endpoint,
          bucket,
          spool: given.spool ?? spool,
          sipServer: { sipPort: ports.sip, adminPort: ports.sipAdmin, close: async () => {} },
          variables: { ...recorderVariables(), ...given.variables },
          logFile: join(directory, `recorder-${++recorders}.log`),
        });
        closers.push(() => recorder.stop());
        signal.throwIfAborted();
        return recorder;
      },
      async placeCalls(calls) {
        const placed: DrillCall[] = [];
        let left = calls;
        const place = async () => {
          while (left-- > 0) {
            signal.throwIfAborted();
            placed.push(await placeCall());
          }
        };
        await Promise.all(Array.from({ length: PLACING_AT_ONCE }, place));
        return placed;
      },
      async offerCall() {
        const opened = await rtp.open(2);
        const call = src.callFromPorts(opened.map(({ port }) => port));
        const transaction = call.send(call.invite());
        const answer = await finalOf(transaction);
        if (answer.status === 200) {
          call.answered(transaction, answer);
          await call.bye();
        }
        return answer.status;
      },
      stopMedia,
      async hangUp(calls) {
        await stopMedia(calls);
        for (const { call } of calls) {
          const { status } = await call.bye();
          if (status !== 200) throw new Error(`a BYE was answered with ${status}`);
        }
      },
      onDispose: (close) => void closers.push(close),
      pause: (ms) => pause(ms, undefined, { signal }),
      async manifests(count, limitMs) {
        return poll(
          limitMs,
          signal,
          () => manifestKeys(s3, bucket).then(({ length }) => length),
          (n) => n >= count,
        );
      },
      async leftInSpool(spoolDirectory, limitMs) {
        return poll(
          limitMs,
          signal,
          async () => readdirSync(spoolDirectory).filter((name) => !NOT_RECORDINGS.includes(name)),
          (names) => names.length === 0,
        );
      },
      dispose,
    };
  } catch (error) {
    await dispose(false);
    throw error;
  }
}

/** Directories of the recordings in a spool. */
export const recordingsIn = (spool: string): string[] =>
  readdirSync(spool).filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name));

interface Ports {
  /** UDP and TCP. */
  sip: number;
  sipAdmin: number;
  rtp: PortRange;
}

/** Ports of the drill's own, and the SIP server on them. Other programs may be faster: then other ports. */
async function startFirst(
  calls: number,
  startAt: (ports: Ports) => Promise<Child<true>>,
  signal: AbortSignal,
): Promise<{ ports: Ports; sipServer: Child<true> }> {
  for (let triesLeft = PORT_TRIES; ; triesLeft--) {
    const { min: sip, max: sipAdmin } = await freePortRange(1, FIRST_PORT);
    const ports = { sip, sipAdmin, rtp: await freePortRange(2 * (calls + SPARE_CALLS), FIRST_PORT) };
    try {
      return { ports, sipServer: await startAt(ports) };
    } catch (error) {
      if (triesLeft === 1 || signal.aborted) throw error;
    }
  }
}

/** A process that is stopped takes no SIGTERM. */
async function end(child: Child<unknown>): Promise<void> {
  try {
    process.kill(child.pid, 'SIGCONT');
  } catch {
    return; // gone already
  }
  await child.stop();
}

const POLL_MS = 100;

/** Looks until `enough`, or `limitMs` have passed. @returns what was seen last */
export async function poll<T>(
  limitMs: number,
  signal: AbortSignal,
  look: () => Promise<T>,
  enough: (seen: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (enough(seen) || performance.now() > deadline) return seen;
    await pause(POLL_MS, undefined, { signal });
  }
}
