/** BroadWorks as the recorders see it: finds them by SRV, offers calls, sends tones, hangs up. */
import { pause } from '../dns-server/pause.ts';
import { callId } from '../sip/message.ts';
import { type ServerTransaction, TransactionLayer } from '../sip/transaction.ts';
import { openTransport } from '../sip/transport.ts';
import { makeCall, type Party, type Shape, type SimulatedCall, type StreamMode } from './call.ts';
import type { DnsCache } from './dns-cache.ts';
import type { DnsServerAddress } from './dns-client.ts';
import type { Codec } from './g711.ts';
import { makeInvite, sdpReinviteHeaders } from './messages.ts';
import { type Attempt, bye, inviteRecorder, type RecordingSession, reinvite } from './recorder-leg.ts';
import { locateSipServers, type SipTarget } from './resolver.ts';
import {
  openToneStream,
  PACKET_MS,
  type RtpDestination,
  sendTones,
  type ToneStream,
  tonePairs,
} from './rtp-tone.ts';
import { makeOffer, readAnswer } from './sdp.ts';

export interface PlaceCallsOptions {
  /** The recording platform: an SRV domain, or with a port a host. */
  domain: string;
  port?: number;
  dnsServer: DnsServerAddress;
  transport: 'udp' | 'tcp';
  calls: number;
  /** From answer to BYE. */
  durationMs: number;
  /** Calls at the same time; default all, at most 135 (the number of tone pairs). */
  concurrency?: number;
  /** Between the starts of calls; default 0. */
  intervalMs?: number;
  streams?: StreamMode;
  codec?: Codec;
  shape?: Shape;
  /** Puts each call on hold once: re-INVITE without media, no RTP, re-INVITE. */
  hold?: { afterMs: number; forMs: number };
  /** IP address that SIP and RTP are sent from; default 127.0.0.1. */
  localAddress?: string;
  /** Silence after which the next recorder is tried; default 1000 (BroadWorks: 50 to 10000). */
  maxResponseWaitMs?: number;
  /** For the final response, once there was a provisional one; default 32000. */
  maxAnswerWaitMs?: number;
  /** For the SRV choice, uniform in [0, 1). */
  random?: () => number;
  /** Ends all calls early, with BYE, and places no more. */
  signal?: AbortSignal;
  /** Places no more calls; those that run go on to their ends. */
  until?: AbortSignal;
  /** Remembers what DNS said, as SRCs do; without it every call asks anew. */
  dnsCache?: DnsCache;
  /** Told of each call as it ends. */
  onResult?: (result: CallResult) => void;
  /** One line per event of a call. */
  log: (line: string) => void;
}

export interface CallResult {
  callNumber: number;
  sipCallId: string;
  /** X-BroadWorks-Correlation-Info and extTrackingID. */
  extTrackingId: string;
  /** Absent when no recorder took the call. */
  recorder?: SipTarget;
  attempts: Attempt[];
  parties: { recordedUser: Party; other: Party };
  direction: 'outgoing' | 'incoming';
  /** Tones in Hz. Dual: recorded user on label 1, the other on label 2. Single: both mixed on label 1. */
  frequencies: { recordedUser: number; other: number };
  /** Of media sent on each stream. */
  rtpDurationMs: number;
  /** RFC 3339, UTC: INVITE, and end of the session. */
  startedAt: string;
  endedAt: string;
  /** `bye-timeout`: the recorder took the call and then did not answer its BYE. */
  outcome: 'recorded' | 'failed' | 'bye-timeout';
  /** Why it was not recorded to the end. */
  reason?: string;
}

/**
 * Places calls and waits for their ends. What happens to a call is in its result; nothing about a recorder throws.
 * @returns one result per call placed, in the order of their numbers (from 1)
 * @throws RangeError for options that cannot be, SipTransportError when the local address cannot be used
 */
export async function placeCalls(options: PlaceCallsOptions): Promise<CallResult[]> {
  const tones = tonePairs();
  const concurrency = options.concurrency ?? Math.min(options.calls, tones.length);
  if (!(concurrency >= 1 && concurrency <= tones.length)) {
    throw new RangeError(
      `concurrency ${concurrency}: 1 to ${tones.length} calls at once have tones of their own`,
    );
  }
  const localAddress = options.localAddress ?? '127.0.0.1';
  const stop = options.signal ?? new AbortController().signal;
  const enough = options.until ? AbortSignal.any([stop, options.until]) : stop;
  const transport = await openTransport({ address: localAddress, port: 0 });
  const layer = new TransactionLayer(transport);
  const endings = new Map<string, AbortController>();
  layer.on('request', (transaction) => answerRequest(transaction, endings));

  const results: CallResult[] = [];
  const running = new Set<Promise<void>>();
  try {
    for (let callNumber = 1; callNumber <= options.calls; callNumber++) {
      if (running.size >= concurrency) await Promise.race(running);
      if (enough.aborted) break;
      // Taken in front and given back at the end: running calls differ, and so do neighbours in time.
      const pair = tones.shift() as [number, number];
      const call = placeCall({ ...options, callNumber, localAddress, layer, endings, pair, stop }).then(
        (result) => {
          results.push(result);
          options.onResult?.(result);
          tones.push(pair);
          running.delete(call);
        },
      );
      running.add(call);
      if (options.intervalMs && callNumber < options.calls) await pause(options.intervalMs, enough);
    }
    await Promise.all(running);
  } finally {
    layer.close();
    await transport.close();
  }
  return results.sort((a, b) => a.callNumber - b.callNumber);
}

/** What a recorder may ask of the client: to end the session. Everything else is politely declined. */
function answerRequest(transaction: ServerTransaction, endings: Map<string, AbortController>): void {
  const ending = endings.get(callId(transaction.request));
  const { method } = transaction.request;
  if (method === 'OPTIONS') transaction.respond(200);
  else if (!ending) transaction.respond(481);
  else if (method === 'BYE') {
    transaction.respond(200);
    ending.abort();
  } else transaction.respond(405, { headers: [['Allow', 'ACK,BYE,CANCEL,OPTIONS']] });
}

interface CallContext extends PlaceCallsOptions {
  callNumber: number;
  localAddress: string;
  layer: TransactionLayer;
  /** By Call-ID: aborted when the recorder sends BYE. */
  endings: Map<string, AbortController>;
  pair: [recordedUserHz: number, otherHz: number];
  stop: AbortSignal;
}

/** What becomes of a call, gathered while it goes on. */
type Progress = Pick<CallResult, 'recorder' | 'attempts' | 'outcome' | 'reason'>;

async function placeCall(context: CallContext): Promise<CallResult> {
  const { callNumber, localAddress, codec = 'pcmu', streams: mode = 'dual', pair, endings } = context;
  const tonesPerStream = mode === 'dual' ? pair.map((hz) => [hz]) : [pair];
  const media = await Promise.all(tonesPerStream.map((hz) => openToneStream(localAddress, codec, hz)));
  const call = makeCall({
    callNumber,
    localAddress,
    codec,
    mode,
    rtpPorts: media.map(({ localPort }) => localPort),
  });
  const ending = new AbortController();
  endings.set(call.sipCallId, ending);

  const progress: Progress = { attempts: [], outcome: 'failed' };
  try {
    await runCall(context, call, media, ending.signal, progress);
  } catch (error) {
    progress.outcome = 'failed';
    progress.reason = (error as Error).message;
  }
  endings.delete(call.sipCallId);
  await Promise.all(media.map((stream) => stream.close()));

  const by = progress.recorder ? ` by ${progress.recorder.target}` : '';
  context.log(
    `call ${callNumber}: ${progress.outcome}${by}${progress.reason ? ` (${progress.reason})` : ''}`,
  );
  return {
    callNumber,
    sipCallId: call.sipCallId,
    extTrackingId: call.extTrackingId,
    ...progress,
    parties: { recordedUser: call.recordedUser, other: call.other },
    direction: call.direction,
    frequencies: { recordedUser: pair[0], other: pair[1] },
    rtpDurationMs: Math.min(...media.map(({ packetsSent }) => packetsSent)) * PACKET_MS,
    startedAt: call.startedAt.toISOString(),
    endedAt: new Date().toISOString(),
  };
}

async function runCall(
  context: CallContext,
  call: SimulatedCall,
  media: ToneStream[],
  endedByRecorder: AbortSignal,
  progress: Progress,
): Promise<void> {
  const { layer, log, transport, shape = 'broadworks', localAddress, stop, random = Math.random } = context;
  const platform = { domain: context.domain, ...(context.port !== undefined && { port: context.port }) };
  const { dnsServer, dnsCache } = context;
  const targets = await locateSipServers({ ...platform, transport }, dnsServer, random, dnsCache);
  const local = { address: localAddress, port: layer.transport.port, transport };
  const offer = makeOffer(call, { localAddress, version: 1, paused: false });
  const invited = await inviteRecorder(
    layer,
    makeInvite(call, shape, platform, local, offer),
    targets,
    transport,
    {
      responseWaitMs: context.maxResponseWaitMs ?? 1_000,
      answerWaitMs: context.maxAnswerWaitMs ?? 32_000,
    },
  );
  progress.attempts = invited.attempts;
  if (invited.kind === 'failed') {
    progress.reason = invited.reason;
    return;
  }
  const { session, target } = invited;
  progress.recorder = target;
  log(`call ${call.callNumber}: taken by ${target.target} (${target.address}:${target.port})`);

  const ended = AbortSignal.any([stop, endedByRecorder]);
  let failure: Error | undefined;
  try {
    const destinations = readAnswer(call, invited.answer.body.toString());
    await sendMedia(context, call, session, media, destinations, ended);
    failure = media.find(({ error }) => error)?.error;
  } catch (error) {
    // The session stands all the same, so it still gets its BYE.
    failure = error as Error;
  }
  if (endedByRecorder.aborted) {
    progress.reason = 'the recorder ended the session with BYE';
    return;
  }
  Object.assign(progress, await endSession(layer, session, failure));
}

async function endSession(
  layer: TransactionLayer,
  session: RecordingSession,
  failure: Error | undefined,
): Promise<Pick<Progress, 'outcome' | 'reason'>> {
  const outcome = await bye(layer, session);
  if (failure) return { outcome: 'failed', reason: failure.message };
  if (outcome.kind === 'timeout')
    return { outcome: 'bye-timeout', reason: 'the recorder does not answer BYE' };
  if (outcome.kind === 'transport-error')
    return { outcome: 'failed', reason: `BYE: ${outcome.error.message}` };
  const { status, reason } = outcome.response;
  return status < 300 ? { outcome: 'recorded' } : { outcome: 'failed', reason: `BYE: ${status} ${reason}` };
}

async function sendMedia(
  context: CallContext,
  call: SimulatedCall,
  session: RecordingSession,
  media: ToneStream[],
  destinations: RtpDestination[],
  ended: AbortSignal,
): Promise<void> {
  const { durationMs, hold } = context;
  const legs = (to: RtpDestination[]) =>
    media.map((stream, index) => ({ stream, destination: to[index] as RtpDestination }));
  if (!hold) {
    await sendTones(legs(destinations), durationMs, ended);
    return;
  }
  await sendTones(legs(destinations), hold.afterMs, ended);
  if (ended.aborted) return;
  const heldAt = performance.now();
  await renegotiate(context, call, session, { version: 2, paused: true });
  await pause(hold.forMs, ended);
  if (ended.aborted) return;
  const resumed = readAnswer(call, await renegotiate(context, call, session, { version: 3, paused: false }));
  const heldPackets = Math.round((performance.now() - heldAt) / PACKET_MS);
  for (const stream of media) stream.skip(heldPackets);
  await sendTones(legs(resumed), durationMs - hold.afterMs - heldPackets * PACKET_MS, ended);
}

function renegotiate(
  { layer, localAddress, transport, shape = 'broadworks' }: CallContext,
  call: SimulatedCall,
  session: RecordingSession,
  offer: { version: number; paused: boolean },
): Promise<string> {
  const local = { address: localAddress, port: layer.transport.port, transport };
  return reinvite(
    layer,
    session,
    sdpReinviteHeaders(call, shape, local),
    makeOffer(call, { ...offer, localAddress }),
  );
}
