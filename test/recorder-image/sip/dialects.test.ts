/**
 * Every dialect of metadata, each in the messages of an SRC that speaks it, over real sockets and into S3
 * (`reference/siprec.md` 2): what comes of its INVITE, and of what it tells while the call lasts.
 */
import { header } from '../../../local/sip/message.ts';
import type { Protocol } from '../../../local/sip/transport.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { Src } from '../../helpers/src.ts';
import { rfc7865 } from '../siprec/support.ts';
import { type Document, type Told, VendorCall, type VendorCallOptions } from './vendor-call.ts';
import type { OfferedStream, VendorName } from './vendors.ts';

const BUCKET = 'dialects';
const RTP_PAIRS = 20;

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let src: Src;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
  recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET, rtpPairs: RTP_PAIRS });
  src = await Src.start(recorder.sipServer.sipPort);
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await src?.close();
  await recorder?.stop();
  await emulator?.stop();
});
afterEach(async () => {
  expect((await recorder.health('/status')).body).toMatchObject({
    activeRecordings: 0,
    freeRtpPortPairs: RTP_PAIRS,
  });
});

const open = (vendor: VendorName, options?: VendorCallOptions) => VendorCall.open(src, vendor, options);
const end = (call: VendorCall): Promise<Told> => call.end(bucket, recorder);

const labelsOf = (sdp: string): string[] =>
  [...sdp.matchAll(/^a=label:(.*)\r$/gm)].map(([, label = '']) => label);
const portsOf = (sdp: string): number[] =>
  [...sdp.matchAll(/^m=\w+ (\d+)/gm)].map(([, port]) => Number(port));
const directionsOf = (sdp: string): string[] =>
  sdp.match(/(?<=^a=)(?:recvonly|inactive|sendrecv|sendonly)(?=\r$)/gm) ?? [];
const versionOf = (sdp: string): string | undefined => /^o=\S+ \d+ (\d+) /m.exec(sdp)?.[1];

interface Dialect extends Omit<VendorCallOptions, 'transport'> {
  name: string;
  vendor: VendorName;
  /** Without it, the INVITE has SDP alone. */
  metadata?: Document;
  offer?: Partial<OfferedStream>;
  people: string[];
  warnings?: string[];
  callId: string;
  /** Further fields of the manifest. */
  manifest: object;
}

const CALL_ID = '11111111-0000-4000-8000-000000000001';
const NEW_CALL_ID = '22222222-0000-4000-8000-000000000002';

const broadworks = (direction: 'outgoing' | 'incoming', broadWorks: object) => ({
  metadataDialect: 'broadworks',
  direction,
  tenant: 'ExampleProvider',
  broadWorks: { serviceProviderId: 'ExampleProvider', groupId: 'ExampleGroup', ...broadWorks },
});
/** Only BroadWorks says whose call it is, and of which tenant. */
const other = (metadataDialect: 'rfc7865' | 'draft' | 'none') => ({
  metadataDialect,
  direction: 'unknown',
  tenant: 'unassigned',
});

/** People of whom each, beyond the two of the fixture, sends the second stream, or one that nobody knows. */
function crowd(): Buffer {
  const person = (number: number, stream: string) =>
    `<participant id="urn:uuid:01000000-0000-4000-8000-0000000000${number}" session="urn:uuid:01000000-0000-4000-8000-000000000003">` +
    `<aor>sip:+120255501${number}@example.net</aor><send><id>urn:uuid:01000000-0000-4000-8000-0000000000${stream}</id></send></participant>`;
  const more = person(11, '07') + person(12, '07') + person(13, '99');
  return Buffer.from(
    metadataFixture('broadworks-dual-origcall').toString().replace('<stream ', `${more}<stream `),
  );
}

/** Elements of somebody with a stream of their own, beside the two of the OpenSIPS fixture. */
const THIRD_ID = 'T1NTLVBBUlRZLTMwMDAwMA==';
const THIRD =
  `<participant participant_id="${THIRD_ID}"><nameID aor="sip:2025550103@example.net"/></participant>` +
  '<stream stream_id="T1NTLVNUUkVBTS0zMDAwMA==" session_id="T1NTLVNFU1NJT04wMDAwMA=="><label>3</label></stream>' +
  `<participantstreamassoc participant_id="${THIRD_ID}"><send>T1NTLVNUUkVBTS0zMDAwMA==</send></participantstreamassoc>`;
const THIRD_LEFT =
  `<participantsessionassoc participant_id="${THIRD_ID}" session_id="T1NTLVNFU1NJT04wMDAwMA==">` +
  '<disassociate-time>2099-03-02T09:17:00Z</disassociate-time></participantsessionassoc>';

const DIALECTS: Dialect[] = [
  {
    name: 'BroadWorks 1.0, single, called after a redirection',
    vendor: 'broadworks-old',
    metadata: 'broadworks-single-termcall-redirect',
    labels: ['1'],
    people: ['2025550101 on 1: #0-', '+12025550103 on 1: #0-'],
    callId: '8028549:1',
    manifest: broadworks('incoming', {
      version: '1.0',
      redirect: {
        lastRedirectNumber: '+12025550104',
        origCalledNumber: '+12025550105',
        numOfRedirections: '2',
      },
    }),
  },
  {
    name: 'BroadWorks 2.0, called through a queue',
    vendor: 'broadworks',
    metadata: 'broadworks-acd-termcall',
    people: ['sip:agent7@example.com on 1: #0-', '+12025550107 on 2: #0-'],
    callId: '8028550:1',
    manifest: broadworks('incoming', {
      version: '2.0',
      acd: { userId: 'queue1@example.com', name: 'Example Support', number: '2025550108', countryCode: '1' },
    }),
  },
  {
    name: 'BroadWorks 3.0, calling',
    vendor: 'broadworks',
    metadata: 'broadworks-dual-origcall',
    correlation: CALL_ID,
    people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-'],
    callId: CALL_ID,
    manifest: broadworks('outgoing', { version: '3.0', recordingType: 'on', dialedDigits: '5550102' }),
  },
  {
    name: 'BroadWorks 3.0, called, SDP first',
    vendor: 'broadworks-old',
    metadata: 'broadworks-dual-termcall',
    people: ['+12025550102 on 1: #0-', '+12025550101 on 2: #0-'],
    callId: CALL_ID,
    manifest: broadworks('incoming', { version: '3.0', userId: 'bertrand@example.com' }),
  },
  {
    name: 'BroadWorks 4.0, on demand, without a direction in the SDP',
    vendor: 'broadworks',
    metadata: 'broadworks-on-demand',
    labels: ['1'],
    offer: { direction: undefined },
    people: ['+12025550101 on 1: #0-', '+12025550102 on 1: #0-'],
    warnings: ['recording-type-not-on'],
    callId: '8028551:1',
    manifest: broadworks('outgoing', { version: '4.0', recordingType: 'onDemand' }),
  },
  {
    name: 'BroadWorks 4.0, after a redirection',
    vendor: 'broadworks',
    metadata: 'broadworks-redirected-call',
    people: ['+12025550101 on 1: #0-', '+12025550106 on 2: #0-'],
    callId: CALL_ID,
    manifest: {
      ...broadworks('outgoing', { version: '4.0', newExtTrackingId: NEW_CALL_ID }),
      call: { callId: CALL_ID, correlationIds: [CALL_ID, NEW_CALL_ID, expect.any(String)] },
    },
  },
  {
    name: 'BroadWorks with a conference from the beginning',
    vendor: 'broadworks',
    metadata: 'broadworks-conference',
    people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-', '+12025550109 on 2: #0-'],
    callId: CALL_ID,
    manifest: broadworks('outgoing', {}),
  },
  {
    name: 'BroadWorks with more people than streams, of whom one sends a stream that is not there',
    vendor: 'broadworks',
    metadata: crowd(),
    people: [
      '+12025550101 on 1: #0-',
      '+12025550102 on 2: #0-',
      '+12025550111 on 2: #0-',
      '+12025550112 on 2: #0-',
      '+12025550113 on none: #0-',
    ],
    warnings: ['unknown-stream-id', 'participant-without-stream'],
    callId: CALL_ID,
    manifest: broadworks('outgoing', {}),
  },
  {
    name: 'BroadWorks with other labels in the SDP than in the metadata',
    vendor: 'broadworks',
    metadata: 'broadworks-dual-origcall',
    labels: ['5', '6'],
    people: ['+12025550101 on 5: #0-', '+12025550102 on 6: #0-'],
    warnings: ['label-mismatch', 'label-mismatch'],
    callId: CALL_ID,
    manifest: broadworks('outgoing', {}),
  },
  {
    name: 'Webex Calling',
    vendor: 'webex',
    metadata: 'webex-dual-termcall',
    correlation: '55555555-0000-4000-8000-000000000005',
    people: ['+12025550101 on 1: #0-', '+12025550103 on 2: #0-'],
    callId: '55555555-0000-4000-8000-000000000005',
    manifest: broadworks('incoming', { version: '4.0' }),
  },
  {
    name: 'RFC 7865, with somebody who has left',
    vendor: 'rfc7866',
    metadata: 'rfc7865-two-streams',
    labels: ['96', '97'],
    people: [
      '+12025550101 "Alice & Co" on 96: 09:15:01-',
      '+12025550102 "Bertrand" on none: 09:15:02-09:16:00',
    ],
    callId: 'AAAAAAAAQACAAAAAAAAAAQ==',
    manifest: other('rfc7865'),
  },
  {
    name: 'Oracle',
    vendor: 'oracle',
    metadata: 'draft-oracle',
    labels: ['167772161', '167772162'],
    people: ['2025550101 "Alice" on 167772161: 09:15:00-', '2025550102 on 167772162: 09:15:00-'],
    callId: 'FA080001000269A5563C',
    manifest: other('draft'),
  },
  {
    name: 'Ribbon',
    vendor: 'ribbon',
    metadata: 'draft-ribbon',
    people: ['2025550101 on 1: #0-', '2025550102 on 2: #0-'],
    warnings: ['no-close-delimiter'],
    callId: 'R1JPVVAtMDAwMDAwMDAwMQ==',
    manifest: other('draft'),
  },
  {
    name: 'AudioCodes',
    vendor: 'audiocodes',
    metadata: 'draft-audiocodes',
    people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
    callId: 'FA080001000269A5563C',
    manifest: other('draft'),
  },
  {
    name: 'Metaswitch',
    vendor: 'metaswitch',
    metadata: 'draft-metaswitch',
    labels: ['1'],
    people: ['2025550101 on 1: #0-', '2025550102 on 1: #0-'],
    callId: 'TVMtR1JPVVAtMDAwMDAwMQ==',
    manifest: other('draft'),
  },
  {
    name: 'Cisco CUBE, with an association of the wrong element',
    vendor: 'cube',
    metadata: 'rfc7865-cisco-cube',
    people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
    warnings: ['association-to-stream'],
    callId: '0000000000000000000000000000aa01',
    manifest: other('rfc7865'),
  },
  {
    name: 'NetSapiens',
    vendor: 'netsapiens',
    metadata: 'rfc7865-netsapiens-first',
    people: ['101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
    callId: '20260302091500-example',
    manifest: other('rfc7865'),
  },
  {
    name: 'OpenSIPS, without a c= line',
    vendor: 'opensips',
    metadata: 'rfc7865-opensips',
    people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
    callId: 'T1NTLUdST1VQMDAwMDAwMA==',
    manifest: other('rfc7865'),
  },
  {
    name: 'OpenSIPS, with an address of zeros, where it never receives',
    vendor: 'rfc7866',
    metadata: 'rfc7865-opensips',
    offer: { address: '0.0.0.0' },
    people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
    callId: 'T1NTLUdST1VQMDAwMDAwMA==',
    manifest: other('rfc7865'),
  },
  {
    name: 'three streams',
    vendor: 'rfc7866',
    metadata: Buffer.from(
      metadataFixture('rfc7865-opensips').toString().replace('</recording>', `${THIRD}</recording>`),
    ),
    labels: ['1', '2', '3'],
    people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-', '2025550103 on 3: #0-'],
    callId: 'T1NTLUdST1VQMDAwMDAwMA==',
    manifest: other('rfc7865'),
  },
];

const TRANSPORTS: Protocol[] = ['udp', 'tcp'];
const IN_TURNS = DIALECTS.map((dialect, index) => ({
  ...dialect,
  transport: TRANSPORTS[index % TRANSPORTS.length] as Protocol,
}));

describe('an INVITE', () => {
  it.each(IN_TURNS)('of $name ($transport)', async ({ vendor, metadata, offer, ...row }) => {
    const { labels = ['1', '2'], people, warnings = [], callId, manifest } = row;
    const call = await open(vendor, row);
    const answer = await call.start(metadata, call.offer(offer));
    expect(header(answer, 'Contact')).toContain('+sip.srs');
    const sdp = answer.body.toString();
    expect(labelsOf(sdp)).toEqual(labels);
    expect(directionsOf(sdp)).toEqual(labels.map(() => 'recvonly'));
    await call.speak();
    const told = await end(call);
    expect(told).toMatchObject({ people, warnings, holds: [], audio: { problems: [] } });
    expect(told.manifest).toMatchObject({ call: { callId }, ...manifest });
    expect(told.manifest.streams.map(({ label }) => label)).toEqual(labels);
  });

  it('with video is answered with all its m-lines, and the audio is recorded', async () => {
    const video = (label: string) =>
      `m=video 6000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=label:${label}\r\na=sendonly\r\n`;
    const call = await open('rfc7866');
    const answer = await call.start('rfc7865-opensips', `${call.offer()}${video('3')}${video('4')}`);
    expect(portsOf(answer.body.toString())).toEqual([expect.any(Number), expect.any(Number), 0, 0]);
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-'],
      carried: ['1: 2025550101 #0-', '2: 2025550102 #0-'],
      warnings: ['stream-refused'],
      audio: { problems: [] },
    });
  });
});

describe('hold and resume', () => {
  const PEOPLE = ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-'];

  it.each<[string, Partial<OfferedStream>, string]>([
    ['an address of zeros', { address: '0.0.0.0' }, 'zero-address'],
    ['a=inactive and an address of zeros', { address: '0.0.0.0', direction: 'inactive' }, 'inactive'],
    ['a=inactive', { direction: 'inactive' }, 'inactive'],
    ['a=recvonly', { direction: 'recvonly' }, 'not-sending'],
    ['a direction that is dropped', { direction: undefined }, 'sendonly-dropped'],
  ])('by %s, twice', async (_, hold, cause) => {
    const call = await open('broadworks');
    await call.start('broadworks-dual-origcall');
    for (let round = 0; round < 2; round++) {
      await call.speak();
      await call.reinvite(call.offer(hold));
      expect(directionsOf(await call.reinvite())).toEqual(['recvonly', 'recvonly']);
    }
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: PEOPLE,
      carried: ['1: +12025550101 #0-', '2: +12025550102 #0-'],
      holds: ['1', '2'].flatMap((label) => [`${label} ${cause}: #1-#2`, `${label} ${cause}: #3-#4`]),
      transfers: [],
      warnings: [],
      audio: { problems: [] },
    });
  });

  it('of one side, which lasts until the end (AudioCodes)', async () => {
    const call = await open('audiocodes', { transport: 'tcp' });
    await call.start('draft-audiocodes');
    await call.speak();
    (call.streams[1] as OfferedStream).direction = 'inactive';
    expect(directionsOf(await call.reinvite())).toEqual(['recvonly', 'inactive']);
    expect(await end(call)).toMatchObject({
      holds: ['2 inactive: #1-'],
      warnings: [],
      audio: { problems: [] },
    });
  });
});

describe('transfer', () => {
  it('of BroadWorks: SDP alone, then metadata with all-new ids', async () => {
    const call = await open('broadworks', { correlation: CALL_ID, transport: 'tcp' });
    await call.start('broadworks-dual-origcall');
    await call.speak();
    await call.reinvite();
    await call.reinvite(call.offer(), 'broadworks-redirected-call');
    await call.speak();
    const told = await end(call);
    expect(told).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-#2', '+12025550106 on 2: #2-'],
      carried: ['1: +12025550101 #0-', '2: +12025550102 #0-#2, +12025550106 #2-'],
      holds: [],
      transfers: [`#2: +12025550102 > +12025550106 = ${NEW_CALL_ID}`],
      warnings: [],
      audio: { problems: [] },
      manifest: { direction: 'outgoing', call: { callId: CALL_ID } },
    });
    expect(told.manifest.call.correlationIds).toContain(NEW_CALL_ID);
  });

  it('of Webex, through a hold: the header keeps the id that the metadata renews', async () => {
    const correlation = '55555555-0000-4000-8000-000000000005';
    const call = await open('webex', { correlation });
    await call.start('webex-dual-termcall');
    await call.speak();
    await call.reinvite(call.offer({ direction: 'inactive', address: '0.0.0.0' }));
    await call.reinvite(call.offer(), 'webex-redirected');
    await call.speak();
    const told = await end(call);
    const renewed = '66666666-0000-4000-8000-000000000006';
    expect(told).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550103 on 2: #0-#2', '+12025550104 on 2: #2-'],
      holds: ['1 inactive: #1-#2', '2 inactive: #1-#2'],
      transfers: [`#2: +12025550103 > +12025550104 = ${renewed}`],
      warnings: [],
      audio: { problems: [] },
    });
    expect(told.manifest.call.callId).toBe(correlation);
    expect(told.manifest.call.correlationIds).toContain(renewed);
  });

  it('that only all-new ids and another party show', async () => {
    const call = await open('broadworks');
    await call.start('broadworks-dual-origcall');
    await call.speak();
    await call.reinvite(call.offer(), 'broadworks-renewed-ids');
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-#1', '+12025550109 on 2: #1-'],
      transfers: ['#1: +12025550102 > +12025550109 = undefined'],
      warnings: [],
      audio: { problems: [] },
    });
  });

  it('that begins with a party that leaves, told by a partial UPDATE', async () => {
    const call = await open('broadworks', { correlation: CALL_ID, transport: 'tcp' });
    await call.start('broadworks-dual-origcall');
    await call.speak();
    await call.update('broadworks-partial-party-left');
    await call.reinvite(call.offer(), 'broadworks-redirected-call');
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-#1', '+12025550106 on 2: #2-'],
      carried: ['1: +12025550101 #0-', '2: +12025550102 #0-#1, +12025550106 #2-'],
      transfers: [`#1: +12025550102 > +12025550106 = ${NEW_CALL_ID}`],
      warnings: [],
      audio: { problems: [] },
    });
  });
});

describe('people who come and go', () => {
  it('by UPDATEs of BroadWorks, with metadata alone', async () => {
    const call = await open('broadworks');
    await call.start('broadworks-dual-origcall');
    for (const document of [
      'broadworks-conference',
      'broadworks-conference',
      'broadworks-dual-origcall',
      'broadworks-dual-origcall',
      'broadworks-conference',
      'broadworks-conference',
    ])
      await call.update(document);
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-', '+12025550109 on 2: #1-#3 #5-'],
      carried: ['1: +12025550101 #0-', '2: +12025550102 #0-, +12025550109 #1-#3, +12025550109 #5-'],
      transfers: [],
      warnings: [],
      audio: { problems: [] },
    });
  });

  it('by a re-INVITE of BroadWorks with the o= line that it had', async () => {
    const call = await open('broadworks', { transport: 'tcp' });
    const offer = call.offer();
    const answer = (await call.start('broadworks-dual-origcall', offer)).body.toString();
    expect(await call.reinvite(offer, 'broadworks-conference')).toBe(answer);
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-', '+12025550109 on 2: #1-'],
      warnings: [],
      audio: { problems: [] },
    });
  });

  it('by partial documents of RFC 7865, in UPDATEs: joined, come back, on hold', async () => {
    const call = await open('rfc7866', { labels: ['96', '97'], transport: 'tcp' });
    await call.start('rfc7865-two-streams');
    for (const document of ['rfc7865-partial-joined', 'rfc7865-partial-returned', 'rfc7865-partial-hold'])
      await call.update(document);
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: [
        '+12025550101 "Alice & Co" on 96: 09:15:01-',
        '+12025550102 "Bertrand" on 97: 09:15:02-09:16:00 09:18:00-',
        '+12025550103 on 97: 09:17:00-',
      ],
      carried: ['96: +12025550101 #0-#3', '97: +12025550103 #1-, +12025550102 #2-#3'],
      warnings: [],
      audio: { problems: [] },
    });
  });

  it('after a placeholder (Avaya SBCE): the real ones come by UPDATE', async () => {
    const call = await open('avaya');
    await call.start('rfc7865-avaya-placeholder');
    await call.update('rfc7865-avaya-parties');
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['2025550101 on 1: #1-', '2025550102 on 2: #1-'],
      carried: ['1: 2025550101 #1-', '2: 2025550102 #1-'],
      warnings: [
        'element-without-id',
        'placeholder-participant',
        'stream-without-participant',
        'stream-without-participant',
        'participant-by-position',
        'participant-by-position',
      ],
      audio: { problems: [] },
      manifest: { call: { callId: '00000000000000000000000000005e55' } },
    });
  });
});

describe('streams that change', () => {
  it('to another codec, by SDP alone', async () => {
    const call = await open('broadworks', { transport: 'tcp' });
    const answer = (await call.start('broadworks-dual-origcall')).body.toString();
    await call.speak();
    for (const one of [...call.streams, ...call.call.speakers]) one.codec = 'pcma';
    const changed = await call.reinvite();
    expect(portsOf(changed)).toEqual(portsOf(answer));
    expect([versionOf(answer), versionOf(changed)]).toEqual(['1', '2']);
    await call.speak();
    expect(await end(call)).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-'],
      carried: ['1: +12025550101 #0-', '2: +12025550102 #0-'],
      holds: [],
      warnings: [],
      audio: { problems: [] },
      manifest: { audio: { encoding: 'pcm16' } },
    });
  });

  it('in number: one is added with somebody new, and removed with them', async () => {
    const call = await open('rfc7866');
    await call.start('rfc7865-opensips');
    await call.speak();
    const hz = 2_000;
    const speaker = await src.speaker('pcmu', [hz]);
    call.call.speakers.push(speaker);
    call.streams.push({ ...(call.streams[0] as OfferedStream), label: '3', port: speaker.port });
    const extended = await call.reinvite(call.offer(), Buffer.from(rfc7865(THIRD, 'partial')));
    expect(labelsOf(extended)).toEqual(['1', '2', '3']);
    await call.speak();
    (call.streams[2] as OfferedStream).port = 0;
    const reduced = await call.reinvite(call.offer(), Buffer.from(rfc7865(THIRD_LEFT, 'partial')));
    expect(portsOf(reduced)).toEqual([...portsOf(extended).slice(0, 2), 0]);
    call.call.speakers.pop();
    await call.speak();
    call.call.speakers.push(speaker);
    const { audio, manifest, ...told } = await end(call);
    expect(told).toEqual({
      people: ['2025550101 on 1: 09:15:00-', '2025550102 on 2: 09:15:00-', '2025550103 on 3: #1-09:17:00'],
      carried: ['1: 2025550101 #0-', '2: 2025550102 #0-', '3: 2025550103 #1-#2'],
      holds: ['3 removed: #2-'],
      transfers: [],
      warnings: [],
    });
    expect(manifest.streams.map(({ packets }) => packets)).toEqual([75, 75, 25]);
    // It is heard for a third of the time only.
    expect(audio.problems.filter((problem) => !problem.startsWith('channel 3 '))).toEqual([]);
    expect(audio.channels[2]?.frequencyHz).toBeCloseTo(hz, -1);
  });
});

describe('several recordings of one call', () => {
  it('of both parties: two, and neither is dropped', async () => {
    const user = await open('broadworks', { correlation: CALL_ID });
    const party = await open('broadworks', { correlation: CALL_ID, transport: 'tcp' });
    await user.start('broadworks-dual-origcall');
    await party.start('broadworks-dual-termcall');
    await user.speak();
    await party.speak();
    const [one, two] = [await end(user), await end(party)];
    expect(one).toMatchObject({
      people: ['+12025550101 on 1: #0-', '+12025550102 on 2: #0-'],
      warnings: [],
      audio: { problems: [] },
      manifest: { direction: 'outgoing', call: { callId: CALL_ID } },
    });
    expect(two).toMatchObject({
      people: ['+12025550102 on 1: #0-', '+12025550101 on 2: #0-'],
      warnings: [],
      audio: { problems: [] },
      manifest: { direction: 'incoming', call: { callId: CALL_ID } },
    });
    expect(one.manifest.recordingId).not.toBe(two.manifest.recordingId);
  });

  it('of NetSapiens, which ends one and begins the next', async () => {
    for (const [index, document] of ['rfc7865-netsapiens-first', 'rfc7865-netsapiens-second'].entries()) {
      const call = await open('netsapiens', { transport: 'tcp' });
      await call.start(document);
      await call.speak();
      expect(await end(call)).toMatchObject({
        people: [`101 on 1: 09:1${5 + index}:00-`, `2025550102 on 2: 09:1${5 + index}:00-`],
        warnings: [],
        audio: { problems: [] },
        manifest: { call: { callId: '20260302091500-example', sequence: index + 1 } },
      });
    }
  });

  it("of Cisco's built-in bridge: one for each side, without metadata", async () => {
    const parameters =
      'x-refci=27298698;x-nearenddevice=DEV1;x-farendrefci=27298699;x-farenddevice=DEV2;x-farendaddr=2025550102';
    const calls = await Promise.all(
      ['x-nearend', 'x-farend'].map((side) =>
        open('built-in-bridge', { labels: ['1'], from: `sip:2025550101@192.0.2.50;${side};${parameters}` }),
      ),
    );
    for (const call of calls) await call.start();
    for (const call of calls) await call.speak();
    const expected = {
      warnings: ['no-metadata'],
      audio: { problems: [] },
      manifest: { ...other('none'), call: { callId: '27298698@DEV1' } },
    };
    const [near, far] = calls as [VendorCall, VendorCall];
    expect(await end(near)).toMatchObject({
      ...expected,
      people: ['2025550101 "Alice" on 1: #0-', '2025550102 on none: #0-'],
    });
    expect(await end(far)).toMatchObject({
      ...expected,
      people: ['2025550101 "Alice" on none: #0-', '2025550102 on 1: #0-'],
    });
  });
});
