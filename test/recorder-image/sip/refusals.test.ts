/** Every INVITE gets a final answer, and a refused one leaves nothing behind. */
import { rmSync, writeFileSync } from 'node:fs';
import {
  header,
  type SipRequest,
  type SipResponse,
  withHeader,
  withoutHeaders,
} from '../../../local/sip/message.ts';
import { type LocalRecorder, type RecorderOptions, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, SDP, Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const RTP_PAIRS = 8;

let recorder: LocalRecorder;
let src: Src;

async function start(options: RecorderOptions = {}): Promise<void> {
  recorder = await startTestRecorder({ rtpPairs: RTP_PAIRS, ...options });
  src = await Src.start(recorder.sipServer.sipPort);
}
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

/** What an INVITE gets, after a change to it. */
async function inviteWith(change: (invite: SipRequest, call: SrcCall) => SipRequest): Promise<SipResponse> {
  const call = await src.call();
  return finalOf(call.send(change(call.invite(), call)));
}
const unchanged = (invite: SipRequest) => invite;

const withSdp =
  (sdp: string) =>
  (invite: SipRequest): SipRequest => ({
    ...invite,
    headers: withHeader(invite.headers, ...SDP),
    body: Buffer.from(sdp),
  });
const SESSION = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n';

/** Headers and body of an INVITE with an SDP offer and another part. */
const withPart = (sdp: string, disposition: string, invite: SipRequest) => ({
  headers: withHeader(invite.headers, 'Content-Type', 'multipart/mixed;boundary=example'),
  body: Buffer.from(
    `--example\r\nContent-Type: application/sdp\r\n\r\n${sdp}\r\n` +
      `--example\r\nContent-Type: application/example\r\n${disposition}\r\nexample\r\n--example--\r\n`,
  ),
});

/** As if the INVITE had never been; but for what else runs. */
async function expectNothingLeft({ calls = 0, pairs = RTP_PAIRS } = {}): Promise<void> {
  expect((await recorder.health('/status')).body).toMatchObject({
    activeRecordings: calls,
    freeRtpPortPairs: pairs - 2 * calls,
  });
  expect(recorder.spooled()).toHaveLength(calls);
}

const expectRefused = (
  response: SipResponse,
  status: number,
  headers: Record<string, unknown> = {},
): void => {
  const found = Object.keys(headers).map((name) => [name, header(response, name)]);
  expect({ status: response.status, ...Object.fromEntries(found) }).toEqual({ status, ...headers });
};

describe('requests that no recorder would grant', () => {
  beforeEach(() => start());

  it('420 to an extension that it does not know', async () => {
    const response = await inviteWith((invite) => ({
      ...invite,
      headers: [...invite.headers, ['Require', 'siprec, example-one'], ['Require', 'Example-Two']],
    }));
    expectRefused(response, 420, { Unsupported: expect.stringMatching(/^example-one(, Example-Two)?$/) });
    await expectNothingLeft();
  });

  it('400 without Contact', async () => {
    const response = await inviteWith((invite) => ({
      ...invite,
      headers: withoutHeaders(invite.headers, 'Contact'),
    }));
    expectRefused(response, 400, { Warning: '399 siprec-ha "no Contact header"' });
    await expectNothingLeft();
  });

  it.each([
    ['no SDP', 'the INVITE has no SDP offer', ''],
    ['no v= line', 'SDP: no v= line', 'hello\r\n'],
    ['no m-line', 'SDP: no m= line', SESSION],
    ['an m-line that cannot be read', 'm-line cannot be read', `${SESSION}m=audio x RTP/AVP 0\r\n`],
    ['only video', 'no stream of the offer can be recorded', `${SESSION}m=video 6000 RTP/AVP 96\r\n`],
    ['only SRTP', 'no stream of the offer can be recorded', `${SESSION}m=audio 6000 RTP/SAVP 0\r\n`],
    [
      'only codecs that it has not',
      'no stream of the offer',
      `${SESSION}m=audio 6000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\n`,
    ],
  ])('488 to an offer with %s', async (_what, warning, sdp) => {
    const response = await inviteWith(withSdp(sdp));
    expectRefused(response, 488, { Warning: expect.stringContaining(warning) });
    expect(header(response, 'Warning')).toMatch(/^(304|305|399) siprec-ha "[^"]*"$/);
    await expectNothingLeft();
  });

  it('487 after a CANCEL', async () => {
    const call = await src.call();
    const transaction = call.send(call.invite(), () => transaction.cancel());
    expectRefused(await finalOf(transaction), 487);
    await recorder.logs.find('INVITE cancelled', { sipCallId: call.facts.sipCallId });
    await expectNothingLeft();
    expect((await recorder.health('/status')).body).toMatchObject({ invites: { answered: 0, cancelled: 1 } });
  });

  it.each([
    ['only video', 'm=video 6000 RTP/AVP 96\r\n', 304],
    ['only codecs that it has not', 'm=audio 6000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\n', 305],
  ])('a Warning by RFC 3261 for %s', async (_what, mLine, code) => {
    const response = await inviteWith(withSdp(SESSION + mLine));
    expectRefused(response, 488, { Warning: expect.stringMatching(`^${code} siprec-ha "`) });
  });

  it.each([
    ['a required part', 'Content-Disposition: signal;handling=required\r\n'],
    ['a required part in other words', 'Content-Disposition: signal; Handling="REQUIRED"\r\n'],
  ])('415 to %s that it does not understand', async (_what, disposition) => {
    const response = await inviteWith((invite, call) => ({
      ...invite,
      ...withPart(call.offer(), disposition, invite),
    }));
    expectRefused(response, 415, {
      Accept: expect.stringContaining('application/sdp, multipart/mixed, application/rs-metadata+xml'),
    });
    await expectNothingLeft();
  });

  it.each([
    ['an optional part', 'Content-Disposition: signal;handling=optional\r\n'],
    ['a part that says nothing', ''],
  ])('200 with %s that it does not understand', async (_what, disposition) => {
    const call = await src.call();
    const invite = call.invite();
    await call.start({ ...invite, ...withPart(call.offer(), disposition, invite) });
    await expectNothingLeft({ calls: 1 });
  });

  it('415 to a body of another kind altogether', async () => {
    const response = await inviteWith((invite) => ({
      ...invite,
      headers: withHeader(invite.headers, 'Content-Type', 'text/plain'),
      body: Buffer.from('hello'),
    }));
    expectRefused(response, 415);
    await expectNothingLeft();
  });

  it('482 to the same INVITE by another way, and the first goes on', async () => {
    const call = await src.call();
    const invite = call.invite();
    await call.start(invite);
    expectRefused(await finalOf(call.send(invite)), 482);
    await expectNothingLeft({ calls: 1 });
    expect((await call.request('INVITE', [SDP], call.offer())).status).toBe(200);
    expect((await call.bye()).status).toBe(200);
    await recorder.logs.find('recording ended');
    await call.start(invite); // the dialog is over: nobody else has this name
  });

  it('405 to a method that it does not know, 481 to what needs a dialog', async () => {
    for (const method of ['MESSAGE', 'SUBSCRIBE', 'NOTIFY', 'REGISTER', 'PUBLISH', 'REFER'])
      expectRefused(await src.request(method), 405, {
        Allow: 'INVITE, ACK, BYE, CANCEL, UPDATE, INFO, OPTIONS',
      });
    for (const method of ['UPDATE', 'BYE', 'INFO']) expectRefused(await src.request(method), 481);
  });

  it('says in every refusal what it can', async () => {
    for (const response of [await inviteWith(withSdp('rubbish')), await src.request('MESSAGE')])
      expectRefused(response, response.status, {
        Allow: expect.stringContaining('INVITE'),
        Accept: expect.stringContaining('application/sdp'),
        Supported: 'timer',
      });
  });
});

describe('sources that it does not know', () => {
  beforeEach(() =>
    start({
      variables: { SIPREC_SOURCES: '[{"name":"broadworks","networks":["192.0.2.0/24","2001:db8::/32"]}]' },
    }),
  );

  it('403 to all that they send', async () => {
    expectRefused(await inviteWith(unchanged), 403);
    for (const method of ['OPTIONS', 'MESSAGE', 'INFO']) expectRefused(await src.request(method), 403);
    await expectNothingLeft();
    expect((await recorder.health('/status')).body).toMatchObject({ invites: { refused: { 403: 1 } } });
  });
});

describe('a recorder that is full', () => {
  it('503 without Retry-After past the capacity, and room again after a BYE', async () => {
    await start({ variables: { SIPREC_CALL_CAPACITY: '1' } });
    const call = await src.call();
    await call.start();
    expectRefused(await inviteWith(unchanged), 503, { 'Retry-After': undefined });
    expectRefused(await src.request('OPTIONS'), 503, { 'Retry-After': undefined });
    await expectNothingLeft({ calls: 1 });
    expect((await recorder.health('/status')).body).toMatchObject({
      full: true,
      invites: { answered: 1, refused: { 503: 1 } },
    });
    await call.bye();
    await recorder.logs.find('recording ended');
    await (await src.call()).start();
  });

  it('takes as many calls at once as it has room for, and not one more', async () => {
    await start({ variables: { SIPREC_CALL_CAPACITY: '3' } });
    const calls = await Promise.all(Array.from({ length: 5 }, () => src.call()));
    const responses = await Promise.all(calls.map((call) => finalOf(call.send(call.invite()))));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 503, 503]);
  });

  it('503 without RTP ports', async () => {
    await start({ rtpPairs: 2 });
    await (await src.call()).start();
    expectRefused(await inviteWith(unchanged), 503, { 'Retry-After': undefined });
    expectRefused(await src.request('OPTIONS'), 503);
    await expectNothingLeft({ calls: 1, pairs: 2 });
  });

  it('503 to an offer of more streams than it has RTP ports, which are free again', async () => {
    await start({ rtpPairs: 2 });
    const threeStreams = `${SESSION}${'m=audio 6000 RTP/AVP 0\r\na=sendonly\r\n'.repeat(3)}`;
    expectRefused(await inviteWith(withSdp(threeStreams)), 503, { 'Retry-After': undefined });
    await expectNothingLeft({ pairs: 2 });
    await (await src.call()).start();
  });
});

describe('a recorder that is going', () => {
  it('503 with Retry-After while it drains', async () => {
    await start();
    const call = await src.call();
    await call.start();
    const drained = recorder.drain(60_000);
    expectRefused(await inviteWith(unchanged), 503, { 'Retry-After': '60' });
    expectRefused(await src.request('OPTIONS'), 503, { 'Retry-After': '60' });
    await expectNothingLeft({ calls: 1 });
    await call.bye();
    await drained;
  });
});

describe('a recorder whose disk is gone', () => {
  beforeEach(() => start());

  it.each([
    ['removed', () => {}],
    ['replaced by a file', () => writeFileSync(recorder.spool, '')],
  ])('503 if the spool is %s', async (_how, replace) => {
    rmSync(recorder.spool, { recursive: true });
    replace();
    expectRefused(await inviteWith(unchanged), 503, { 'Retry-After': undefined });
    // What was seen of the disk a moment ago is still told.
    await until(async () => (await src.request('OPTIONS')).status === 503);
    const { status, body } = await recorder.health('/healthz');
    expect({ status, body }).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['disk-unusable'] },
    });
    expect((await recorder.health('/status')).body.diskError).toMatch(/^(ENOENT|ENOTDIR): /);
  });
});

describe('a recorder without its media workers', () => {
  it('503 when none is left', async () => {
    await start({ variables: { SIPREC_MEDIA_WORKERS: '1' } });
    await recorder.crashMediaWorker(); // replaced at once
    await recorder.logs.find('media worker replaced');
    await recorder.crashMediaWorker(); // so soon again that the next one waits
    expectRefused(await inviteWith(unchanged), 503);
    expectRefused(await src.request('OPTIONS'), 503);
    expect(await recorder.health('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['media-workers-gone'] },
    });
    await expectNothingLeft();
  });

  it('goes on with the others', async () => {
    await start({ variables: { SIPREC_MEDIA_WORKERS: '2' } });
    await recorder.crashMediaWorker();
    await recorder.logs.find('media worker died');
    await (await src.call()).start();
  });
});

describe('OPTIONS', () => {
  it('200 with what an SRC may use, over UDP and TCP', async () => {
    await start();
    for (const transport of ['udp', 'tcp'] as const) {
      const response = await src.request('OPTIONS', transport);
      expect(response.status).toBe(200);
      expect(header(response, 'Contact')).toContain('+sip.srs');
      expect(header(response, 'Allow')).toContain('UPDATE');
      expect(header(response, 'Accept')).toContain('application/rs-metadata+xml');
      expect(header(response, 'Supported')).toBe('timer');
    }
  });

  it('420 to an extension that it does not know, as an INVITE', async () => {
    await start();
    expectRefused(await src.request('OPTIONS', 'udp', [['Require', 'example']]), 420, {
      Unsupported: 'example',
    });
  });
});
