/** What an SRC does with a recording session while it lasts (`reference/siprec.md` 2.5). */
import { statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { broadworksMetadata } from '../../../local/broadworks/metadata.ts';
import { header, type SipResponse } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { HOST, type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { type CallShape, METADATA, multipart, SDP, Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const BUCKET = 'dialogs';
const RTP_PAIRS = 4;

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let src: Src;
let call: SrcCall;
/** The answer as it stands. */
let answer: string;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

async function start(shape: CallShape = {}): Promise<void> {
  call = await src.call(shape);
  answer = (await call.start()).body.toString();
}
beforeEach(async () => {
  recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET, rtpPairs: RTP_PAIRS });
  src = await Src.start(recorder.sipServer.sipPort);
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

async function reinvite(sdp: string): Promise<string> {
  const response = await call.request('INVITE', [SDP], sdp);
  expect(response.status).toBe(200);
  expect(header(response, 'Contact')).toContain(';+sip.srs');
  expect(header(response, 'Content-Type')).toBe('application/sdp');
  return response.body.toString();
}

async function end() {
  expect((await call.bye()).status).toBe(200);
  return bucket.of(recorder, call);
}

const portsOf = (sdp: string): number[] =>
  [...sdp.matchAll(/^m=audio (\d+)/gm)].map(([, port]) => Number(port));
const directionsOf = (sdp: string): string[] =>
  sdp.match(/^a=(?:recvonly|inactive|sendrecv|sendonly)$/gm) ?? [];
const versionOf = (sdp: string): string | undefined => /^o=- \d+ (\d+) /m.exec(sdp)?.[1];
const expectNoBody = ({ status, body }: SipResponse): void =>
  expect({ status, body: body.toString() }).toEqual({ status: 200, body: '' });

describe('re-INVITE with SDP alone', () => {
  beforeEach(() => start());

  it('gets the same answer to the same offer', async () => {
    const again = call.offer();
    expect(await reinvite(again)).toBe(answer);
    expect(await reinvite(again)).toBe(answer);
    expect(versionOf(answer)).toBe('1');
    await call.speak();
    expect((await end()).manifest).toMatchObject({
      status: 'complete',
      streams: [{ packets: 50 }, { packets: 50 }],
    });
  });

  it('holds and resumes on the same ports', async () => {
    await call.speak(25);
    const held = await reinvite(call.offer(true));
    expect(portsOf(held)).toEqual(portsOf(answer));
    expect(directionsOf(held)).toEqual(['a=inactive', 'a=inactive']);
    expect(versionOf(held)).toBe('2');
    const resumed = await reinvite(call.offer());
    expect(directionsOf(resumed)).toEqual(['a=recvonly', 'a=recvonly']);
    expect(portsOf(resumed)).toEqual(portsOf(answer));
    expect(versionOf(resumed)).toBe('3');
    await call.speak(25);
    const recording = await end();
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      streams: [{ packets: 50 }, { packets: 50 }],
    });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  });

  it('keeps its ports through the old style of hold, an address of zeros', async () => {
    const held = await reinvite(call.offer().replace(`c=IN IP4 ${HOST}`, 'c=IN IP4 0.0.0.0'));
    expect(portsOf(held)).toEqual(portsOf(answer));
    await call.speak(50);
    expect((await end()).manifest.status).toBe('complete');
  });

  it('records on in another codec', async () => {
    await call.speak(50);
    call.facts.codec = 'pcma';
    for (const speaker of call.speakers) speaker.codec = 'pcma';
    const changed = await reinvite(call.offer());
    expect(changed).toMatch(/^m=audio \d+ RTP\/AVP 8\r$/m);
    expect(portsOf(changed)).toEqual(portsOf(answer));
    await call.speak(50);
    const recording = await end();
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      audio: { encoding: 'pcm16' },
    });
    expect(audioOf(recording, call.speakers, 2000).problems).toEqual([]);
  });

  it('opens a port for a stream that is added', async () => {
    await call.speak(50);
    const third = await src.speaker('pcmu', [2_000]);
    call.speakers.push(third);
    call.facts.streams.push({ uuid: 'none', label: '3', speakers: [], rtpPort: third.port });
    const extended = await reinvite(call.offer());
    expect(portsOf(extended).slice(0, 2)).toEqual(portsOf(answer));
    expect(portsOf(extended)).toHaveLength(3);
    await third.send(50);
    const { manifest } = await end();
    expect(manifest).toMatchObject({
      status: 'complete',
      audio: { channels: 3 },
      streams: [{ label: '1' }, { label: '2' }, { label: '3', packets: 50 }],
    });
  });

  it('closes a stream that is removed, keeps what it recorded, and takes it back', async () => {
    await call.speak(50);
    const [, second] = call.facts.streams as [unknown, { rtpPort: number }];
    const { rtpPort } = second;
    second.rtpPort = 0;
    const reduced = await reinvite(call.offer());
    expect(portsOf(reduced)).toEqual([portsOf(answer)[0], 0]);
    second.rtpPort = rtpPort;
    const back = await reinvite(call.offer());
    expect(portsOf(back)[1]).toBeGreaterThan(0);
    await call.speakers[1]?.send(10);
    const { manifest } = await end();
    expect(manifest.streams.map(({ label, packets }) => [label, packets])).toEqual([
      ['1', 50],
      ['2', 50],
      ['2', 10],
    ]);
    expect(manifest.status).toBe('complete');
  });

  it.each([
    ['that cannot be read', 'rubbish', 'SDP: no v= line'],
    [
      'of streams that it cannot record',
      'v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\n',
      'no stream of the offer can be recorded',
    ],
  ])('refuses an offer %s, and the recording goes on', async (_what, sdp, warning) => {
    await call.speak(25);
    const response = await call.request('INVITE', [SDP], sdp);
    expect(response.status).toBe(488);
    expect(header(response, 'Warning')).toContain(warning);
    await call.speak(25);
    const again = await reinvite(call.offer());
    expect(portsOf(again)).toEqual(portsOf(answer));
    const recording = await end();
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      streams: [{ packets: 50 }, { packets: 50 }],
    });
  });
});

describe('streams that cannot be opened in the middle of a call', () => {
  const addThird = async () => {
    const third = await src.speaker('pcmu', [2_000]);
    call.facts.streams.push({ uuid: 'none', label: '3', speakers: [], rtpPort: third.port });
    return reinvite(call.offer());
  };
  const expectTwoOfThree = async (reason: string) => {
    const { manifest } = await end();
    expect(manifest.streams.map(({ label, packets }) => [label, packets])).toEqual([
      ['1', 50],
      ['2', 50],
    ]);
    expect(manifest).toMatchObject({ status: 'partial', statusReasons: [expect.stringContaining(reason)] });
  };

  it('are refused while the others go on, if there is no port', async () => {
    await start();
    const other = await src.call();
    await other.start(); // takes the last two
    expect(portsOf(await addThird())).toEqual([...portsOf(answer), 0]);
    await call.speak();
    await expectTwoOfThree('not recorded: stream 3: no free pair of RTP ports');
    await other.bye();
  });

  it('are refused while the others go on, if the disk is full', async () => {
    await start();
    const { recordingId } = await recorder.logs.find('recording started');
    symlinkSync('/dev/full', join(recorder.spool, recordingId as string, 'stream-3.rtpdump'));
    expect(portsOf(await addThird())).toEqual([...portsOf(answer), 0]);
    await call.speak();
    await expectTwoOfThree('not recorded: stream 3: ENOSPC');
  });
});

/** The call's metadata with a third person in the second stream. */
function withThird(): string {
  const { uuids, streams } = call.facts;
  const third =
    `<participant id="urn:uuid:00000000-0000-4000-8000-000000000003" session="urn:uuid:${uuids.session}">` +
    `<aor>sip:+12025550199@example.com;user=phone</aor><send><id>urn:uuid:${streams[1]?.uuid}</id></send></participant>`;
  return broadworksMetadata(call.facts).replace('<stream ', `${third}<stream `);
}

/** Of the other party, who goes on in stream 2, and the third one, who has left. */
function thirdLeft(): string {
  const { uuids, streams, other } = call.facts;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>partial</dataMode>',
    `<participant id="urn:uuid:${uuids.other}" session="urn:uuid:${uuids.session}"><aor>${other.aor}</aor>`,
    `<send><id>urn:uuid:${streams[1]?.uuid}</id></send></participant>`,
    `<participant id="urn:uuid:00000000-0000-4000-8000-000000000003" session="urn:uuid:${uuids.session}">`,
    '<aor>sip:+12025550199@example.com;user=phone</aor></participant>',
    '</recording_metadata>',
  ].join('\r\n');
}

describe('new metadata', () => {
  beforeEach(() => start());

  const partiesOf = async () => {
    await call.speak();
    const { manifest, files } = await end();
    expect(manifest.status).toBe('complete');
    const parties = manifest.participants.map(({ number, streamLabels, leftAt }) => ({
      number,
      streamLabels,
      left: leftAt !== undefined,
    }));
    return { manifest, files, parties };
  };
  const user = () => ({ number: call.facts.recordedUser.number, streamLabels: ['1'], left: false });
  const other = () => ({ number: call.facts.other.number, streamLabels: ['2'], left: false });
  const third = (left: boolean) => ({ number: '+12025550199', streamLabels: ['2'], left });

  it('in a re-INVITE with the same offer tells who joined', async () => {
    const xml = withThird();
    const { headers, body } = multipart(call.offer(), xml);
    const response = await call.request('INVITE', headers, body);
    expect({ status: response.status, body: response.body.toString() }).toEqual({
      status: 200,
      body: answer,
    });
    const { manifest, files, parties } = await partiesOf();
    expect(parties).toEqual([user(), other(), third(false)]);
    expect(files.get('metadata-2.xml')?.toString()).toBe(xml);
    const joined = manifest.participants.map(({ joinedAt }) => joinedAt as string);
    expect(joined[2]).not.toBe(joined[1]);
  });

  it('in an UPDATE of its own tells who joined and who left, and is answered without SDP', async () => {
    expectNoBody(await call.request('UPDATE', METADATA, withThird()));
    expectNoBody(await call.request('UPDATE', METADATA, thirdLeft()));
    const { parties, files } = await partiesOf();
    expect(parties).toEqual([user(), other(), third(true)]);
    expect([...files.keys()].sort()).toEqual([
      'audio.wav',
      'metadata-1.xml',
      'metadata-2.xml',
      'metadata-3.xml',
    ]);
  });

  it('that no longer names somebody tells that they left', async () => {
    expectNoBody(await call.request('UPDATE', METADATA, withThird()));
    expectNoBody(await call.request('UPDATE', METADATA, broadworksMetadata(call.facts)));
    expect((await partiesOf()).parties).toEqual([user(), other(), third(true)]);
  });

  it('that is rubbish changes nothing but the warnings', async () => {
    expectNoBody(await call.request('UPDATE', METADATA, '<rubbish'));
    const { manifest, files } = await partiesOf();
    expect(files.get('metadata-2.xml')?.toString()).toBe('<rubbish');
    expect(manifest.warnings).not.toEqual([]);
    expect(manifest.participants.filter(({ leftAt }) => leftAt === undefined)).toHaveLength(2);
  });

  it('that the disk does not take is refused, and the recording goes on', async () => {
    const { recordingId } = await recorder.logs.find('recording started');
    symlinkSync('/dev/full', join(recorder.spool, recordingId as string, 'metadata-2.xml'));
    expect((await call.request('UPDATE', METADATA, withThird())).status).toBe(500);
    expect((await partiesOf()).parties).toEqual([user(), other()]);
  });
});

describe('other requests', () => {
  beforeEach(() => start({ transport: 'tcp' }));

  it('answers an UPDATE that has an offer with SDP', async () => {
    const response = await call.request('UPDATE', [SDP], call.offer(true));
    expect(response.status).toBe(200);
    expect(directionsOf(response.body.toString())).toEqual(['a=inactive', 'a=inactive']);
    expect(header(response, 'Contact')).toContain(';transport=tcp>;+sip.srs');
  });

  it('answers INFO and OPTIONS', async () => {
    const info = await call.request(
      'INFO',
      [['Content-Type', 'application/media_control+xml']],
      '<media_control/>',
    );
    expectNoBody(info);
    expectNoBody(await call.request('OPTIONS'));
  });

  it('answers 481 once the dialog is over', async () => {
    await call.bye();
    expect((await call.request('INVITE', [SDP], call.offer())).status).toBe(481);
    expect((await call.request('BYE')).status).toBe(481);
  });

  it('answers a re-INVITE and the BYE right after it, and loses nothing', async () => {
    await call.speak(50);
    const [modified, bye] = await Promise.all([call.request('INVITE', [SDP], call.offer(true)), call.bye()]);
    // RFC 3261 section 15.1.2 has 487; when the SIP server has the BYE first, it says 500 by itself.
    expect([200, 481, 487, 500]).toContain(modified.status);
    expect(bye.status).toBe(200);
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest).toMatchObject({ status: 'complete', streams: [{ packets: 50 }, { packets: 50 }] });
  });
});

describe('a media worker that dies', () => {
  it('is replaced without any effect on SIP; the recording goes on, and is partial', async () => {
    await start();
    await call.speak(50);
    await untilWritten(50);
    await recorder.crashMediaWorker();
    expect((await call.request('INVITE', [SDP], call.offer())).status).toBe(200);
    await recorder.logs.find('media worker replaced', { streams: 2 });
    for (const speaker of call.speakers) speaker.lose(10);
    await call.speak(50);
    const { manifest } = await end();
    const stream = { gaps: [{ cause: 'crash' }] };
    expect(manifest).toMatchObject({
      status: 'partial',
      session: { endedBy: 'bye' },
      streams: [stream, stream],
    });
    expect(recorder.spooled()).toEqual([]);
    expect((await recorder.health('/status')).body).toMatchObject({
      activeRecordings: 0,
      freeRtpPortPairs: RTP_PAIRS,
    });
  });

  it('before it has written anything makes the recording partial: no packet tells what is missing', async () => {
    await start();
    await recorder.crashMediaWorker();
    await recorder.logs.find('media worker replaced', { streams: 2 });
    await call.speak(50);
    const { manifest } = await end();
    expect(manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['1', '2'].map((label) =>
        expect.stringMatching(`^stream ${label} was interrupted by a crash before its first packet`),
      ),
      streams: [{ packets: 50 }, { packets: 50 }],
    });
  });

  /** So many packets of each stream are in the kernel, from where they survive. */
  async function untilWritten(packets: number): Promise<void> {
    const { recordingId } = await recorder.logs.find('recording started');
    const directory = join(recorder.spool, recordingId as string);
    const journals = ['stream-1.rtpdump', 'stream-2.rtpdump'].map((name) => join(directory, name));
    await until(() => journals.every((journal) => statSync(journal).size > packets * 180));
  }
});
