/** A call to the recorder as a vendor's SRC sends it, and the manifest that came of it in short. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Manifest } from '../../../core/manifest.ts';
import type { RecordingCheck } from '../../../local/audio-check/check.ts';
import { type Header, makeRequest, type SipRequest, type SipResponse } from '../../../local/sip/message.ts';
import type { Protocol } from '../../../local/sip/transport.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import type { LogLines } from '../../helpers/logs.ts';
import { HOST } from '../../helpers/recorder.ts';
import { audioOf, type RecordingsBucket } from '../../helpers/recordings.ts';
import { PACKETS_PER_SECOND, SDP, type Src, type SrcCall } from '../../helpers/src.ts';
import { type OfferedStream, VENDORS, type Vendor, type VendorName, writeOffer } from './vendors.ts';

/** Of streams beyond the two that a call has anyway. */
const FURTHER_TONES_HZ = [2_000, 2_400];

export interface VendorCallOptions {
  labels?: readonly string[];
  transport?: Protocol;
  /** `X-BroadWorks-Correlation-Info`. */
  correlation?: string;
  /** URI of the From header. */
  from?: string;
}

/** Metadata: the name of a fixture, or the document. */
export type Document = string | Buffer;
const documentOf = (document: Document): Buffer =>
  typeof document === 'string' ? metadataFixture(document) : document;

export class VendorCall {
  readonly call: SrcCall;
  /** What is offered; tests change it. */
  readonly streams: OfferedStream[];
  readonly #src: Src;
  readonly #vendor: Vendor;
  readonly #options: VendorCallOptions;
  /** Metadata as sent, in order. */
  readonly #sent: Buffer[] = [];
  /** First and last millisecond of each message that brought SDP or metadata. */
  readonly #moments: [number, number][] = [];
  #version = 0;
  #packets = 0;

  static async open(
    src: Src,
    vendor: VendorName,
    { labels = ['1', '2'], ...options }: VendorCallOptions = {},
  ): Promise<VendorCall> {
    const { transport = 'udp' } = options;
    const isMarked = VENDORS[vendor].contact('').includes('+sip.src');
    const call = await src.call({
      transport,
      mode: labels.length === 1 ? 'single' : 'dual',
      shape: isMarked ? 'rfc7866' : 'broadworks',
    });
    for (const hz of FURTHER_TONES_HZ.slice(0, Math.max(0, labels.length - 2)))
      call.speakers.push(await src.speaker('pcmu', [hz]));
    return new VendorCall(src, VENDORS[vendor], call, labels, options);
  }

  private constructor(
    src: Src,
    vendor: Vendor,
    call: SrcCall,
    labels: readonly string[],
    options: VendorCallOptions,
  ) {
    this.#src = src;
    this.#vendor = vendor;
    this.call = call;
    this.#options = options;
    this.streams = labels.map((label, index) => ({
      label,
      port: call.speakers[index]?.port ?? 0,
      codec: 'pcmu',
      address: HOST,
      direction: 'sendonly',
    }));
  }

  /** The present offer, with a new version; what is given holds for all its streams. */
  offer(change: Partial<OfferedStream> = {}): string {
    const streams = this.streams.map((stream) => ({ ...stream, ...change }));
    return writeOffer(this.#vendor, ++this.#version, streams);
  }

  /** The INVITE, answered with 200; without metadata it has SDP alone. */
  async start(document?: Document, sdp: string = this.offer()): Promise<SipResponse> {
    return this.#within(() => this.call.start(this.#invite(sdp, document)));
  }

  #invite(sdp: string, document: Document | undefined): SipRequest {
    const { facts, peer } = this.call;
    const { correlation, from = `sip:+12025550101@${HOST};user=phone` } = this.#options;
    const uri = `sip:${peer.address}:${peer.port}`;
    const contact = `sip:${HOST}:${this.#src.layer.transport.port};transport=${peer.protocol}`;
    const { headers, body } = this.#bodyOf(sdp, document);
    return makeRequest(
      'INVITE',
      uri,
      [
        ['Max-Forwards', '54'],
        ['From', `"Alice"<${from}>;tag=${facts.fromTag}`],
        ['To', `<${uri}>`],
        ['Call-ID', facts.sipCallId],
        ['CSeq', `${facts.firstCSeq} INVITE`],
        ['Contact', this.#vendor.contact(contact)],
        ...this.#vendor.headers,
        ...(correlation ? [['X-BroadWorks-Correlation-Info', correlation] satisfies Header] : []),
        ...headers,
      ],
      body,
    );
  }

  #bodyOf(sdp: string, document: Document | undefined): { headers: Header[]; body: Buffer } {
    if (document === undefined) return { headers: [SDP], body: Buffer.from(sdp) };
    const metadata = this.#send(document);
    const { contentType, body } = this.#vendor;
    return { headers: [['Content-Type', contentType]], body: body(Buffer.from(sdp), metadata) };
  }

  #send(document: Document): Buffer {
    const metadata = documentOf(document);
    this.#sent.push(metadata);
    return metadata;
  }

  /** A re-INVITE, with metadata or without; resolves to the SDP of its 200. */
  async reinvite(sdp: string = this.offer(), document?: Document): Promise<string> {
    const { headers, body } = this.#bodyOf(sdp, document);
    const response = await this.#within(() => this.call.request('INVITE', headers, body));
    expect(response.status).toBe(200);
    return response.body.toString();
  }

  /** An UPDATE with bare metadata; it is answered without SDP. */
  async update(document: Document): Promise<void> {
    const headers: Header[] = [
      ['Content-Type', this.#vendor.metadataType],
      ['Content-Disposition', 'recording-session'],
    ];
    const metadata = this.#send(document);
    const { status, body } = await this.#within(() => this.call.request('UPDATE', headers, metadata));
    expect({ status, body: body.toString() }).toEqual({ status: 200, body: '' });
  }

  /** Half a second of everybody's tone. */
  async speak(): Promise<void> {
    this.#packets += PACKETS_PER_SECOND / 2;
    await this.call.speak(PACKETS_PER_SECOND / 2);
  }

  /** The BYE, and what is in S3 then: a complete recording, with all metadata byte for byte as it was sent. */
  async end(bucket: RecordingsBucket, recorder: { logs: LogLines }): Promise<Told> {
    expect((await this.call.bye()).status).toBe(200);
    const recording = await bucket.of(recorder, this.call);
    const { manifest, files } = recording;
    expect({ status: manifest.status, reasons: manifest.statusReasons }).toEqual({
      status: 'complete',
      reasons: [],
    });
    const stored = manifest.files
      .filter(({ role }) => role === 'metadata')
      .map(({ name }) => files.get(name));
    expect(stored).toEqual(this.#sent);
    const seconds = this.#packets / PACKETS_PER_SECOND;
    const audio = audioOf(recording, this.call.speakers, seconds * 1000);
    return { manifest, audio, ...inShort(manifest, (time) => this.#momentOf(time)) };
  }

  /** Two messages never share a millisecond, so that each time of the manifest belongs to one of them. */
  async #within<Result>(send: () => Promise<Result>): Promise<Result> {
    const from = Date.now();
    const result = await send();
    const to = Date.now();
    this.#moments.push([from, to]);
    while (Date.now() === to) await nextTurn();
    return result;
  }

  /** `#n`: when the n-th message came; a time that the metadata tells, on its day, as it is. */
  #momentOf(time: string): string {
    const ms = Date.parse(time);
    const index = this.#moments.findIndex(([from, to]) => from <= ms && ms <= to);
    return index < 0 ? time.slice(11, 19) : `#${index}`;
  }
}

export interface Told {
  manifest: Manifest;
  /** Held against everybody's tone in its channel, all the time that was spoken. */
  audio: RecordingCheck;
  /** For each participant: number (or aor), names, streams, and stays, as in `+12025550102 on 2: #0-#3 #4-`. */
  people: string[];
  /** For each stream: whom it carried when. */
  carried: string[];
  /** As in `1 inactive: #1-#2`. */
  holds: string[];
  /** As in `#2: +12025550102 > +12025550106 = new id`. */
  transfers: string[];
  /** Codes. */
  warnings: string[];
}

function inShort(manifest: Manifest, momentOf: (time: string) => string): Omit<Told, 'manifest' | 'audio'> {
  const span = (from: string, to?: string) => `${momentOf(from)}-${to === undefined ? '' : momentOf(to)}`;
  const nameOf = (participantId: string) => {
    const { number, aors = [] } = manifest.participants.find(({ id }) => id === participantId) ?? {};
    return number ?? aors[0] ?? participantId;
  };
  return {
    people: manifest.participants.map(({ id, names, streamLabels, stays = [] }) => {
      const quoted = names.map((name) => ` "${name}"`).join('');
      const periods = stays.map(({ joinedAt, leftAt }) => span(joinedAt, leftAt)).join(' ');
      return `${nameOf(id)}${quoted} on ${streamLabels.join(',') || 'none'}: ${periods}`;
    }),
    carried: manifest.streams.map(({ label, carried = [] }) => {
      const voices = carried.map(
        ({ participantId, startedAt, endedAt }) => `${nameOf(participantId)} ${span(startedAt, endedAt)}`,
      );
      return `${label}: ${voices.join(', ')}`;
    }),
    holds: (manifest.holds ?? []).map(
      ({ streamLabel, cause, startedAt, endedAt }) => `${streamLabel} ${cause}: ${span(startedAt, endedAt)}`,
    ),
    transfers: (manifest.transfers ?? []).map(
      ({ at, from, to, newExtTrackingId }) => `${momentOf(at)}: ${from} > ${to} = ${newExtTrackingId}`,
    ),
    warnings: manifest.warnings.map(({ code }) => code),
  };
}
