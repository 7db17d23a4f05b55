/** Session timers (RFC 4028): the answers, and what becomes of a recording that nobody refreshes. */
import { type Header, header, type SipResponse } from '../../../local/sip/message.ts';
import { startSipServer } from '../../../local/sip-server/server.ts';
import { isIntervalTooSmall, sessionTimerHeaders } from '../../../recorder-image/src/sip/session-timer.ts';
import type { SipRequest } from '../../../recorder-image/src/sip/sip-server.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type LocalRecorder, REGION, SECRET, startTestRecorder } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, METADATA, SDP, Src, type SrcCall } from '../../helpers/src.ts';

const TIMER: Header = ['Supported', 'timer'];
const expires = (value: string): Header => ['Session-Expires', value];

describe('the headers of a 2xx', () => {
  const requestWith = (headers: Record<string, string>): SipRequest => ({
    method: 'INVITE',
    uri: 'sip:recorder.example.com',
    callId: 'call@example.com',
    raw: '',
    sourceAddress: '127.0.0.1',
    sourcePort: 5060,
    transport: 'udp',
    header: (name) => headers[name],
  });

  it.each([
    // Who may refresh is table 2 of RFC 4028 section 9.
    ['100rel, timer', '1800', { 'Session-Expires': '1800;refresher=uac', Require: 'timer' }],
    ['Timer', '1800;refresher=uac', { 'Session-Expires': '1800;refresher=uac', Require: 'timer' }],
    ['timer', ' 1800 ; Refresher = UAS ', { 'Session-Expires': '1800;refresher=uas', Require: 'timer' }],
    ['timer', '90', { 'Session-Expires': '90;refresher=uac', Require: 'timer' }],
    ['timer', '1800;example=1', { 'Session-Expires': '1800;refresher=uac', Require: 'timer' }],
    ['', '1800', { 'Session-Expires': '1800;refresher=uas' }],
    ['timers', '1800', { 'Session-Expires': '1800;refresher=uas' }],
    ['', '60', {}],
    ['timer', 'soon', {}],
    ['timer', undefined, {}],
  ])('Supported: %j, Session-Expires: %j', (Supported, interval, headers) => {
    const request = requestWith({
      Supported,
      ...(interval !== undefined && { 'Session-Expires': interval }),
    });
    expect(sessionTimerHeaders(request)).toEqual(headers);
    expect(isIntervalTooSmall(request)).toBe(false);
  });

  it('knows the short form of the header', () => {
    expect(sessionTimerHeaders(requestWith({ Supported: 'timer', x: '600' }))).toEqual({
      'Session-Expires': '600;refresher=uac',
      Require: 'timer',
    });
  });

  it('refuses too short an interval only to who knows timers', () => {
    expect(isIntervalTooSmall(requestWith({ Supported: 'timer', 'Session-Expires': '89' }))).toBe(true);
    expect(isIntervalTooSmall(requestWith({ Supported: '', 'Session-Expires': '89' }))).toBe(false);
  });
});

describe('in a call', () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  let recorder: LocalRecorder;
  let src: Src;
  let call: SrcCall;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), 'timers');
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  /** @param t1Ms the SIP server's seconds shrink with it, from 500 */
  async function setUp(t1Ms = 500): Promise<void> {
    const sipServer = await startSipServer({ secret: SECRET, t1Ms });
    closers.push(() => sipServer.close());
    recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: bucket.name, sipServer });
    closers.push(() => recorder.stop());
    src = await Src.start(sipServer.sipPort);
    closers.push(() => src.close());
    call = await src.call({ shape: 'rfc7866' });
  }

  const inviteWith = (...headers: Header[]) => {
    const invite = call.invite();
    return { ...invite, headers: [...invite.headers, ...headers] };
  };
  const timerOf = (response: SipResponse) => ({
    status: response.status,
    sessionExpires: header(response, 'Session-Expires'),
    require: header(response, 'Require'),
  });

  it('is agreed on in every answer', async () => {
    await setUp();
    const agreed = { status: 200, sessionExpires: '1800;refresher=uac', require: 'timer' };
    expect(timerOf(await call.start(inviteWith(TIMER, expires('1800'))))).toEqual(agreed);
    expect(timerOf(await call.request('INVITE', [TIMER, expires('1800'), SDP], call.offer()))).toEqual(
      agreed,
    );
    expect(timerOf(await call.request('UPDATE', [TIMER, expires('1800')]))).toEqual(agreed);
    expect(timerOf(await call.request('UPDATE', [...METADATA], '<recording/>'))).toEqual({ status: 200 });
    await call.bye();
  });

  it('is not spoken of to an SRC that has not asked', async () => {
    await setUp();
    expect(timerOf(await call.start(inviteWith(TIMER)))).toEqual({ status: 200 });
    await call.bye();
  });

  it('422 with Min-SE to an interval below 90 s', async () => {
    await setUp();
    const refused = await finalOf(call.send(inviteWith(TIMER, expires('89'))));
    expect([refused.status, header(refused, 'Min-SE')]).toEqual([422, '90']);
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
    await call.start();
    for (const method of ['INVITE', 'UPDATE']) {
      const again = await call.request(method, [TIMER, expires('30'), SDP], call.offer());
      expect([again.status, header(again, 'Min-SE')]).toEqual([422, '90']);
    }
    await call.bye();
  });

  it('ends the recording of an SRC that does not refresh, with a BYE', async () => {
    await setUp(5); // 90 s pass in 0.9 s
    await call.start(inviteWith(TIMER, expires('90')));
    await call.speak();
    expect(header(await call.endedByRecorder.promise, 'Reason')).toContain('Session timer expired');
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'partial',
      session: { endedBy: 'sip-server-lost' },
      warnings: [{ code: 'ended-by-sip-server', detail: expect.stringContaining('Session timer expired') }],
      streams: [{ packets: 50 }, { packets: 50 }],
    });
  });

  it('goes on as long as the SRC refreshes', async () => {
    await setUp(5);
    await call.start(inviteWith(TIMER, expires('90')));
    const begun = performance.now();
    while (performance.now() - begun < 1_500)
      // the interval, and two thirds of it
      expect((await call.request('UPDATE', [TIMER, expires('90')])).status).toBe(200);
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 1 });
    await call.bye();
  });
});
