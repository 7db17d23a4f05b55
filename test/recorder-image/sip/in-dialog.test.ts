/** Requests inside a recording session that come at the wrong moment, without what they should have, or by surprise. */
import type { Header, SipRequest } from '../../../local/sip/message.ts';
import { cseq, header, type SipResponse, serialise } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { HOST, type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, METADATA, SDP, Src, type SrcCall } from '../../helpers/src.ts';

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let src: Src;
let call: SrcCall;
/** The SDP of the 200. */
let answer: string;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), 'in-dialog');
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

beforeEach(async () => {
  recorder = await startTestRecorder({
    endpoint: emulator.endpoint,
    bucket: bucket.name,
    variables: {
      SIPREC_SOURCES: JSON.stringify([{ name: 'broadworks', networks: [`${HOST}/32`] }]),
    },
  });
  src = await Src.start(recorder.sipServer.sipPort);
  call = await src.call({ transport: 'tcp' });
  answer = (await call.start()).body.toString();
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

async function end() {
  expect((await call.bye()).status).toBe(200);
  return (await bucket.of(recorder, call)).manifest;
}

const directionsOf = (sdp: string): string[] =>
  sdp.match(/^a=(?:recvonly|inactive|sendrecv|sendonly)$/gm) ?? [];
const versionOf = (sdp: string): number => Number(/^o=- \d+ (\d+) /m.exec(sdp)?.[1]);

/** Sends requests in one segment, so that none has its answer before the last has come. Their final answers, in order. */
async function together(...requests: SipRequest[]): Promise<SipResponse[]> {
  const finals = new Map<number, SipResponse>();
  const done = Promise.withResolvers<void>();
  const collect = (response: SipResponse) => {
    if (response.status >= 200) finals.set(cseq(response).seq, response);
    if (finals.size === requests.length) done.resolve();
  };
  src.layer.on('stray', collect);
  await src.layer.transport.send(
    call.peer,
    Buffer.concat(requests.map((request) => serialise(src.layer.withVia(request, call.peer)))),
  );
  await done.promise;
  src.layer.off('stray', collect);
  return requests.map((request) => finals.get(cseq(request).seq) as SipResponse);
}

const CONTACT: Header = ['Contact', `<sip:src@${HOST};transport=tcp>`];
const reinvite = (sdp: string) => call.dialog.request('INVITE', [CONTACT, SDP], sdp);
const update = (headers: Header[], body: string) =>
  call.dialog.request('UPDATE', [CONTACT, ...headers], body);
const XML =
  '<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>partial</dataMode></recording_metadata>';

describe('requests that overlap', () => {
  function expectRetry(response: SipResponse | undefined): void {
    expect(response?.status).toBe(500);
    const retryAfter = Number(response && header(response, 'Retry-After'));
    expect([retryAfter >= 0, retryAfter <= 10]).toEqual([true, true]);
  }

  it('500 with Retry-After to a re-INVITE before the answer to another', async () => {
    const [held, resumed] = await together(reinvite(call.offer(true)), reinvite(call.offer()));
    expect(directionsOf(held?.body.toString() ?? '')).toEqual(['a=inactive', 'a=inactive']);
    expectRetry(resumed);
    const again = await call.request('INVITE', [SDP], call.offer());
    expect(directionsOf(again.body.toString())).toEqual(['a=recvonly', 'a=recvonly']);
  });

  it('500 with Retry-After to an UPDATE before the answer to another', async () => {
    const [first, second] = await together(update(METADATA, XML), update(METADATA, XML));
    expect(first?.status).toBe(200);
    expectRetry(second);
  });

  it('500 with Retry-After to an offer while another is open', async () => {
    const [first, second] = await together(reinvite(call.offer()), update([SDP], call.offer()));
    expect(first?.status).toBe(200);
    expectRetry(second);
  });

  it('200 to metadata while an offer is open', async () => {
    const answers = await together(reinvite(call.offer(true)), update(METADATA, XML));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[1]?.body.toString()).toBe('');
  });

  it('500 to a CSeq below the last', async () => {
    const old = update(METADATA, XML);
    expect((await call.request('UPDATE', METADATA, XML)).status).toBe(200);
    const [refused] = await together(old);
    expect(refused?.status).toBe(500);
  });

  it('takes them in order when they come in order', async () => {
    const [info, options, held] = await together(
      call.dialog.request('INFO'),
      call.dialog.request('OPTIONS'),
      reinvite(call.offer(true)),
    );
    expect([info?.status, options?.status, held?.status]).toEqual([200, 200, 200]);
  });

  it('487 to a re-INVITE that the BYE overtakes', async () => {
    const [modified, bye] = await together(reinvite(call.offer(true)), call.dialog.request('BYE'));
    expect(bye?.status).toBe(200);
    expect([487, 500]).toContain(modified?.status); // 500: of the SIP server
  });
});

describe('a re-INVITE without an offer', () => {
  /** Sends it, and acknowledges its 200 with that body. */
  async function offerless(ackBody: (offer: string) => string): Promise<string> {
    const transaction = call.send(call.dialog.request('INVITE', [CONTACT]));
    const response = await finalOf(transaction);
    expect([response.status, header(response, 'Content-Type')]).toEqual([200, 'application/sdp']);
    const offer = response.body.toString();
    const body = ackBody(offer);
    const { seq } = cseq(transaction.request);
    transaction.acknowledge(call.dialog.ack(seq, body ? [SDP] : [], body), call.peer);
    expect((await call.request('INFO')).status).toBe(200); // the ACK has come before it
    return offer;
  }

  it('gets an offer of the streams as they are, ready to be received', async () => {
    const held = await call.request('INVITE', [SDP], call.offer(true));
    expect(directionsOf(held.body.toString())).toEqual(['a=inactive', 'a=inactive']);
    const offer = await offerless(() => call.offer());
    expect(directionsOf(offer)).toEqual(['a=recvonly', 'a=recvonly']);
    expect(offer.match(/^m=.*$/gm)).toEqual(answer.match(/^m=.*$/gm));
    expect(versionOf(offer)).toBe(3);
    await call.speak();
    const { holds, status } = await end();
    expect(status).toBe('complete');
    expect(holds?.map(({ streamLabel, endedAt }) => [streamLabel, endedAt !== undefined])).toEqual([
      ['1', true],
      ['2', true],
    ]);
  });

  it('takes the answer from the ACK: media from another address', async () => {
    const elsewhere = await src.speaker('pcmu', [600], '127.0.0.7');
    elsewhere.destination = call.speakers[0]?.destination;
    await elsewhere.send(5);
    await offerless(() => call.offer().replaceAll(`c=IN IP4 ${HOST}`, 'c=IN IP4 127.0.0.7'));
    expect((await call.request('UPDATE', METADATA, XML)).status).toBe(200); // the ACK is worked off
    await elsewhere.send(25);
    expect((await end()).streams[0]).toMatchObject({ packets: 25, foreignPackets: 5 });
  });

  it('491 to an offer in an UPDATE before the answer to ours', async () => {
    const transaction = call.send(call.dialog.request('INVITE', [CONTACT]));
    await finalOf(transaction);
    expect((await call.request('UPDATE', [SDP], call.offer())).status).toBe(491);
    expect((await call.request('UPDATE', METADATA, XML)).status).toBe(200);
    const { seq } = cseq(transaction.request);
    transaction.acknowledge(call.dialog.ack(seq, [SDP], call.offer()), call.peer);
    expect((await call.request('INFO')).status).toBe(200);
    expect((await call.request('UPDATE', [SDP], call.offer())).status).toBe(200);
  });

  it.each([
    ['no answer', ''],
    ['rubbish', 'rubbish'],
  ])('goes on as before when the ACK has %s', async (_what, body) => {
    await offerless(() => body);
    await call.speak();
    const { status, warnings, streams } = await end();
    expect([status, streams.map(({ packets }) => packets)]).toEqual(['complete', [50, 50]]);
    expect(warnings.map(({ code }) => code)).toEqual(['answer-unusable']);
  });
});

describe('an SRC that moves', () => {
  it('is heard from its new address after a re-INVITE, and still from the old', async () => {
    const elsewhere = await src.speaker('pcmu', [600], '127.0.0.7');
    const [first] = call.speakers;
    elsewhere.destination = first?.destination;
    await elsewhere.send(5);
    const moved = call.offer().replaceAll(`c=IN IP4 ${HOST}`, 'c=IN IP4 127.0.0.7');
    expect((await call.request('INVITE', [SDP], moved)).status).toBe(200);
    await elsewhere.send(10);
    await first?.send(10);
    expect((await end()).streams[0]).toMatchObject({ packets: 20, foreignPackets: 5 });
  });
});

describe('other methods', () => {
  it.each(['INFO', 'OPTIONS'])('200 to %s, with what the recorder can', async (method) => {
    const response = await call.request(method);
    expect(response.status).toBe(200);
    expect(header(response, 'Allow')).toContain('UPDATE');
    expect(header(response, 'Accept')).toContain('application/rs-metadata+xml');
    expect(header(response, 'Supported')).toBe('timer');
    expect(header(response, 'Contact')).toContain(';transport=tcp>;+sip.srs');
  });

  it.each(['MESSAGE', 'REFER', 'NOTIFY', 'SUBSCRIBE', 'PUBLISH'])('405 to %s', async (method) => {
    const response = await call.request(method);
    expect([response.status, header(response, 'Allow')]).toEqual([
      405,
      'INVITE, ACK, BYE, CANCEL, UPDATE, INFO, OPTIONS',
    ]);
  });

  it('420 and 415 as to an INVITE, and the recording goes on', async () => {
    const unknown = await call.request('INVITE', [['Require', 'example'], SDP], call.offer());
    expect([unknown.status, header(unknown, 'Unsupported')]).toEqual([420, 'example']);
    const text = await call.request('UPDATE', [['Content-Type', 'text/plain']], 'hello');
    expect([text.status, header(text, 'Accept')]).toEqual([415, expect.stringContaining('application/sdp')]);
    await call.speak();
    expect((await end()).status).toBe('complete');
  });
});

describe('CANCEL', () => {
  const cancelOf = (invite: SipRequest): SipRequest => ({
    ...invite,
    method: 'CANCEL',
    headers: [
      ...invite.headers.filter(([name]) => /^(via|from|to|call-id|max-forwards)$/i.test(name)),
      ['CSeq', `${cseq(invite).seq} CANCEL`],
    ],
    body: Buffer.alloc(0),
  });

  /** Sends both at once, or the second after the answer to the first. The final answers to each. */
  async function inviteAndCancel(other: SrcCall, atOnce: boolean): Promise<Record<string, number>> {
    const invite = src.layer.withVia(other.invite(), other.peer);
    const finals: Record<string, number> = {};
    const answered = Promise.withResolvers<void>();
    const both = Promise.withResolvers<void>();
    src.layer.on('stray', (response: SipResponse) => {
      if (response.status < 200) return;
      finals[cseq(response).method] = response.status;
      answered.resolve();
      if (Object.keys(finals).length === 2) both.resolve();
    });
    const send = (...requests: SipRequest[]) =>
      src.layer.transport.send(other.peer, Buffer.concat(requests.map(serialise)));
    if (atOnce) await send(invite, cancelOf(invite));
    else {
      await send(invite);
      await answered.promise;
      await send(cancelOf(invite));
    }
    await both.promise;
    return finals;
  }

  it('in one segment with the INVITE leaves nothing', async () => {
    const other = await src.call({ transport: 'tcp' });
    expect(await inviteAndCancel(other, true)).toEqual({ INVITE: 487, CANCEL: 200 });
    await recorder.logs.find('INVITE cancelled', { sipCallId: other.facts.sipCallId });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 1 });
    expect(recorder.spooled()).toHaveLength(1);
  });

  it('after the 200 changes nothing', async () => {
    const other = await src.call({ transport: 'tcp' });
    expect(await inviteAndCancel(other, false)).toEqual({ INVITE: 200, CANCEL: 200 });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 2 });
  });
});
