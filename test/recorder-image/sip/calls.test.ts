/** Calls from INVITE to S3, through a whole recorder. */
import { once } from 'node:events';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { broadworksMetadata, rfc7865Metadata } from '../../../local/broadworks/metadata.ts';
import { Dialog } from '../../../local/sip/dialog.ts';
import { cseq, header, type SipResponse, serialise, withHeader } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { HOST, type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { type CallShape, finalOf, multipart, SDP, Src, type SrcCall } from '../../helpers/src.ts';

const RTP_PAIRS = 20;
const BUCKET = 'calls';

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let src: Src;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

beforeEach(async () => {
  recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET, rtpPairs: RTP_PAIRS });
  src = await Src.start(recorder.sipServer.sipPort);
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

/** A second of speech from everybody, and the end. */
async function play(call: SrcCall): Promise<void> {
  await call.speak();
  expect((await call.bye()).status).toBe(200);
}

const SHAPES: (CallShape & { name: string })[] = [
  { name: 'BroadWorks dual over UDP', transport: 'udp' },
  { name: 'BroadWorks dual over TCP', transport: 'tcp' },
  { name: 'BroadWorks single over UDP', transport: 'udp', mode: 'single' },
  { name: 'BroadWorks dual in PCMA', transport: 'udp', codec: 'pcma' },
  { name: 'RFC 7866 over TCP', transport: 'tcp', shape: 'rfc7866' },
];

describe.each(SHAPES)('$name', (shape) => {
  it('is recorded as it was sent', async () => {
    const before = Date.now();
    const call = await src.call(shape);
    await call.start();
    await play(call);
    const recording = await bucket.of(recorder, call);
    const { manifest, files } = recording;
    const { facts } = call;
    const labels = facts.streams.map(({ label }) => label);

    const [metadata] = manifest.files.filter(({ role }) => role === 'metadata');
    expect(Date.parse(metadata?.receivedAt as string)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(metadata?.receivedAt as string)).toBeLessThanOrEqual(Date.parse(manifest.startedAt));
    expect(manifest).toMatchObject({
      status: 'complete',
      statusReasons: [],
      slot: 'use1-1',
      homeRegion: REGION,
      session: {
        sipCallId: facts.sipCallId,
        source: 'broadworks',
        sourceAddress: HOST,
        endedBy: 'bye',
      },
      participants: [
        { number: facts.recordedUser.number, streamLabels: [labels[0]] },
        { number: facts.other.number, streamLabels: [labels.at(-1)] },
      ],
      streams: labels.map((label, channel) => ({
        label,
        channel,
        codec: facts.codec.toUpperCase(),
        packets: 50,
        lostPackets: 0,
        duplicatePackets: 0,
        foreignPackets: 0,
        gaps: [],
      })),
      audio: { file: 'audio.wav', channels: labels.length, encoding: facts.codec, sampleRate: 8000 },
      warnings: [],
    });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
    const sent = shape.shape === 'rfc7866' ? rfc7865Metadata(facts) : broadworksMetadata(facts);
    expect(files.get('metadata-1.xml')).toEqual(Buffer.from(sent));
  });

  it('leaves nothing behind on the recorder', async () => {
    const call = await src.call(shape);
    await call.start();
    expect((await recorder.health('/status')).body).toMatchObject({
      activeRecordings: 1,
      freeRtpPortPairs: RTP_PAIRS - call.facts.streams.length,
    });
    await play(call);
    await bucket.of(recorder, call);
    expect(recorder.spooled()).toEqual([]);
    expect((await recorder.health('/status')).body).toMatchObject({
      activeRecordings: 0,
      freeRtpPortPairs: RTP_PAIRS,
      invites: { answered: 1, cancelled: 0, refused: {} },
      spool: { finished: 1, failedTries: 0, pending: 0 },
    });
  });

  it('is answered as RFC 7866 and RFC 3264 want it', async () => {
    const call = await src.call(shape);
    const answer = await call.start();
    expectSrsHeaders(answer, call);
    const sdp = answer.body.toString();
    const origins = sdp.match(/^o=.*$/gm);
    expect(origins).toEqual([expect.stringMatching(/^o=- \d+ 1 IN IP4 127\.0\.0\.1$/)]);
    expect(sdp.match(/^a=label:.*$/gm)).toEqual(call.facts.streams.map(({ label }) => `a=label:${label}`));
    expect(sdp.match(/^a=(?:recvonly|sendonly|sendrecv|inactive)$/gm)).toEqual(
      call.facts.streams.map(() => 'a=recvonly'),
    );
    expect(sdp.match(/^m=audio [1-9]\d+ RTP\/AVP (?:0|8)$/gm)).toHaveLength(call.facts.streams.length);
    await play(call);
  });
});

function expectSrsHeaders(answer: SipResponse, { peer }: SrcCall): void {
  const transport = peer.protocol === 'tcp' ? ';transport=tcp' : '';
  expect(header(answer, 'Contact')).toBe(`<sip:srs@${HOST}:${peer.port}${transport}>;+sip.srs`);
  expect(header(answer, 'Allow')).toBe('INVITE, ACK, BYE, CANCEL, UPDATE, INFO, OPTIONS');
  expect(header(answer, 'Supported')).toBe('timer');
  expect(header(answer, 'Content-Type')).toBe('application/sdp');
  for (const type of ['application/sdp', 'multipart/mixed', 'application/rs-metadata+xml'])
    expect(header(answer, 'Accept')).toContain(type);
}

describe('who and what', () => {
  it.each(['outgoing', 'incoming'])('knows an %s call', async (direction) => {
    const calls = [await src.call(), await src.call()];
    const call = calls.find(({ facts }) => facts.direction === direction) as SrcCall;
    await call.start();
    await play(call);
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({
      direction,
      tenant: call.facts.serviceProviderId,
      metadataDialect: 'broadworks',
      call: { callId: call.facts.extTrackingId },
    });
  });

  it('keeps metadata that is not ASCII byte for byte', async () => {
    const call = await src.call();
    const xml = broadworksMetadata(call.facts).replace('ExampleGroup', 'Grüße \u{1F4DE}');
    const { headers, body } = multipart(call.offer(), xml);
    const invite = call.invite();
    const own = headers.reduce((all, [name, value]) => withHeader(all, name, value), [...invite.headers]);
    await call.start({ ...invite, headers: own, body });
    await play(call);
    const { manifest, files } = await bucket.of(recorder, call);
    expect(files.get('metadata-1.xml')).toEqual(Buffer.from(xml));
    expect(manifest.broadWorks?.groupId).toBe('Grüße \u{1F4DE}');
  });
});

describe('unusual beginnings and ends', () => {
  it('ends a recording whose BYE comes in one packet with the ACK', async () => {
    const call = await src.call({ transport: 'tcp' });
    const transaction = call.send(call.invite());
    const answer = await finalOf(transaction);
    const dialog = Dialog.asClient(transaction.request, answer);
    const together = [dialog.ack(cseq(transaction.request).seq), dialog.request('BYE')];
    const stray = once(src.layer, 'stray');
    await src.layer.transport.send(
      call.peer,
      Buffer.concat(together.map((request) => serialise(src.layer.withVia(request, call.peer)))),
    );
    const [response] = (await stray) as [SipResponse];
    expect([response.status, cseq(response).method]).toEqual([200, 'BYE']);
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({ status: 'partial', session: { endedBy: 'bye' } });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
  });

  it('records a call without metadata', async () => {
    const call = await src.call();
    const invite = call.invite();
    await call.start({
      ...invite,
      headers: withHeader(invite.headers, ...SDP),
      body: Buffer.from(call.offer()),
    });
    await play(call);
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      tenant: 'unassigned',
      metadataDialect: 'none',
      // The From header is all that names anybody.
      participants: [{ number: call.facts.recordedUser.number, streamLabels: ['1'] }],
      warnings: expect.arrayContaining([expect.objectContaining({ code: 'no-metadata' })]),
      call: { callId: call.facts.extTrackingId }, // of the header
    });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  });

  it('records a call whose metadata is rubbish, keeps it and says so', async () => {
    const call = await src.call();
    const rubbish = '<recording_metadata><oops';
    const { headers, body } = multipart(call.offer(), rubbish);
    await call.start({
      ...call.invite(),
      headers: [...call.invite().headers.slice(0, -1), ...headers],
      body,
    });
    await play(call);
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({ status: 'complete', metadataDialect: 'unknown' });
    expect(recording.manifest.warnings.map(({ code }) => code)).not.toEqual([]);
    expect(recording.files.get('metadata-1.xml')?.toString()).toBe(rubbish);
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  });

  it('takes an offer whose c= line names nobody', async () => {
    const call = await src.call();
    await call.start(call.invite(call.offer().replace(`c=IN IP4 ${HOST}`, 'c=IN IP4 999.0.0.1')));
    await play(call);
    expect((await bucket.of(recorder, call)).manifest.status).toBe('complete');
  });
});

describe('the truth about what is missing', () => {
  it('calls a recording partial if a stream was silent', async () => {
    const call = await src.call();
    await call.start();
    await call.speakers[0]?.send(50);
    await call.bye();
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({
      status: 'partial',
      statusReasons: [expect.stringMatching(/^no RTP on stream 2: this leg is silent, \d+ ms$/)],
    });
    expect(manifest.streams[1]).toMatchObject({
      packets: 0,
      gaps: [{ fromMs: 0, toMs: 1000, cause: 'not-sent' }],
    });
  });

  it('calls a recording partial without any audio', async () => {
    const call = await src.call({ mode: 'single' });
    await call.start();
    await call.bye();
    const { manifest, files } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['no RTP on stream 1'],
    });
    expect(manifest.audio).toBeUndefined();
    expect([...files.keys()]).toEqual(['metadata-1.xml']);
  });

  it('calls a recording partial if packets were lost, and lists the gap', async () => {
    const call = await src.call();
    const [user, other] = call.speakers;
    await call.start();
    await call.speak(20);
    user?.lose(5);
    await other?.send(5);
    await call.speak(25);
    await call.bye();
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({
      status: 'partial',
      statusReasons: [expect.stringMatching(/^5 packets lost on stream 1(: \d+ ms missing|$)/)],
    });
    expect(manifest.streams[0]).toMatchObject({ packets: 45, lostPackets: 5 });
    expect(manifest.streams[0]?.gaps).toEqual([expect.objectContaining({ cause: 'lost' })]);
    const [gap] = manifest.streams[0]?.gaps ?? [];
    expect((gap?.toMs ?? 0) - (gap?.fromMs ?? 0)).toBe(100);
  });

  it('tells of a stream that it refused', async () => {
    const call = await src.call({ mode: 'single' });
    const answer = await call.start(
      call.invite(
        `${call.offer()}m=audio 6000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\na=label:2\r\na=sendonly\r\n`,
      ),
    );
    expect(answer.body.toString()).toContain('m=audio 0 RTP/AVP 97\r\n');
    await play(call);
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest.streams).toHaveLength(1);
    expect(manifest.warnings).toContainEqual(
      expect.objectContaining({ code: 'stream-refused', detail: 'audio RTP/AVP 97' }),
    );
  });
});

it('counts what strangers send, and does not record it', async () => {
  const strict = await startTestRecorder({
    endpoint: emulator.endpoint,
    bucket: BUCKET,
    variables: { SIPREC_SOURCES: JSON.stringify([{ name: 'broadworks', networks: [`${HOST}/32`] }]) },
  });
  const caller = await Src.start(strict.sipServer.sipPort);
  try {
    const call = await caller.call({ mode: 'single' });
    await call.start();
    const stranger = await caller.speaker('pcmu', [2_500], '127.0.0.9');
    stranger.destination = call.speakers[0]?.destination;
    await stranger.send(10);
    await play(call);
    const recording = await bucket.of(strict, call);
    expect(recording.manifest.streams[0]).toMatchObject({ packets: 50, foreignPackets: 10 });
    expect(recording.manifest.status).toBe('complete');
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  } finally {
    await caller.close();
    await strict.stop();
  }
});

it('gives back everything that it opened when it is stopped', async () => {
  await bucket.keys(); // whose connection stays open
  const before = process.getActiveResourcesInfo().sort();
  const other = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET });
  const caller = await Src.start(other.sipServer.sipPort);
  const call = await caller.call();
  await call.start();
  await play(call);
  await bucket.of(other, call);
  await caller.close();
  await other.stop();
  for (let turn = 0; turn < 10; turn++) await untilNextTurn(); // in which closed handles go
  expect(process.getActiveResourcesInfo().sort()).toEqual(before);
});
