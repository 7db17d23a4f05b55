/** What each profile of a source asks of its INVITEs, and how missing metadata is asked for (RFC 7866 sections 6.2 and 9.2). */
import type { SourceProfile } from '../../../core/deployment.ts';
import {
  callId,
  type Header,
  header,
  type SipRequest,
  withHeader,
  withoutHeaders,
} from '../../../local/sip/message.ts';
import type { ServerTransaction } from '../../../local/sip/transaction.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import { HOST, type LocalRecorder, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, METADATA, multipart, Src, type SrcCall } from '../../helpers/src.ts';

let recorder: LocalRecorder;
let src: Src;

async function start(profile: SourceProfile): Promise<void> {
  recorder = await startTestRecorder({
    variables: {
      SIPREC_SOURCES: JSON.stringify([{ name: 'local', networks: [`${HOST}/32`], profile }]),
    },
  });
  src = await Src.start(recorder.sipServer.sipPort);
}
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

describe('the marks of a recording session', () => {
  const withContact = (contact: string) => (invite: SipRequest) => ({
    ...invite,
    headers: withHeader(invite.headers, 'Contact', contact),
  });
  const withoutRequire = (invite: SipRequest) => ({
    ...invite,
    headers: withoutHeaders(invite.headers, 'Require'),
  });
  const answerTo = async (change: (invite: SipRequest) => SipRequest) => {
    const call = await src.call({ shape: 'rfc7866' });
    return finalOf(call.send(change(call.invite())));
  };

  it.each([
    ['+sip.src in Contact', withContact('<sip:src@127.0.0.1>')],
    ['+sip.src in Contact', withContact('<sip:src@127.0.0.1>;src')],
    ['+sip.src in Contact', withContact('<sip:src@127.0.0.1>;+sip.srcs')],
    ['siprec in Require', withoutRequire],
    [
      '+sip.src in Contact, no siprec in Require',
      (invite: SipRequest) => withoutRequire(withContact('<sip:src@127.0.0.1>')(invite)),
    ],
  ])('rfc7866: 403 without %s', async (missing, change) => {
    await start('rfc7866');
    const response = await answerTo(change);
    expect([response.status, header(response, 'Warning')]).toEqual([
      403,
      `399 siprec-ha "not a recording session: no ${missing}"`,
    ]);
    expect((await recorder.health('/status')).body).toMatchObject({
      activeRecordings: 0,
      invites: { refused: { 403: 1 } },
    });
  });

  it.each([
    ['as they should be', (invite: SipRequest) => invite],
    ['inside the angle brackets', withContact('<sip:src@127.0.0.1;+sip.src>')],
    ['in other letters', withContact('<sip:src@127.0.0.1> ; +SIP.SRC="TRUE"')],
  ])('rfc7866: 200 with them %s', async (_how, change) => {
    await start('rfc7866');
    expect((await answerTo(change)).status).toBe(200);
  });

  it.each(['broadworks', 'generic'] as const)('%s: 200 without them', async (profile) => {
    await start(profile);
    const response = await answerTo((invite) => withoutRequire(withContact('<sip:src@127.0.0.1>')(invite)));
    expect(response.status).toBe(200);
  });

  it('rfc7866: OPTIONS needs none', async () => {
    await start('rfc7866');
    expect((await src.request('OPTIONS')).status).toBe(200);
  });
});

describe('metadata that is missing', () => {
  const PARTIAL =
    '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>' +
    '<participant participant_id="srfBElmCRp2QB23b7Mpk0w=="><nameID aor="sip:bob@example.com"/></participant></recording>';
  const COMPLETE = metadataFixture('rfc7865-two-streams');

  let call: SrcCall;
  /** What the recorder sends in the dialog; each is answered by what the test says. */
  let requests: SipRequest[];
  let arrived: PromiseWithResolvers<void>;

  async function callWith(
    profile: SourceProfile,
    metadata: string | Buffer,
    extra: Header[] = [],
  ): Promise<void> {
    await start(profile);
    call = await src.call({ shape: 'rfc7866', transport: 'tcp' });
    requests = [];
    arrived = Promise.withResolvers();
    src.layer.on('request', ({ request }: ServerTransaction) => {
      if (callId(request) !== call.facts.sipCallId) return;
      requests.push(request);
      arrived.resolve();
    });
    const { headers, body } = multipart(call.offer(), metadata);
    const invite = call.invite();
    const own = [...headers, ...extra].reduce(
      (all, [name, value]) => withHeader(all, name, value),
      invite.headers,
    );
    await call.start({ ...invite, headers: own, body });
  }
  const update = async (xml: string | Buffer) =>
    expect((await call.request('UPDATE', METADATA, xml)).status).toBe(200);

  it('is asked for by an UPDATE as RFC 7866 has it', async () => {
    await callWith('rfc7866', PARTIAL);
    await arrived.promise;
    const [request] = requests as [SipRequest];
    expect(request.method).toBe('UPDATE');
    expect(header(request, 'Content-Type')).toBe('application/rs-metadata+xml');
    expect(header(request, 'Content-Disposition')).toBe('recording-session');
    expect(header(request, 'Require')).toBe('siprec');
    expect(header(request, 'Contact')).toContain(';+sip.srs');
    expect(request.body.toString()).toContain(
      "<requestsnapshot xmlns='urn:ietf:params:xml:ns:recording:1'/>",
    );
    await recorder.logs.find('snapshot of the metadata requested', { outcome: 200 });
  });

  it.each([
    ['a partial document', PARTIAL],
    ['one that cannot be read', 'rubbish'],
    ['one that is cut short', COMPLETE.subarray(0, COMPLETE.length / 2)],
  ])('is asked for after %s, once', async (_what, metadata) => {
    await callWith('rfc7866', metadata);
    await arrived.promise;
    await update(metadata);
    await update(metadata);
    expect(requests.map(({ method }) => method)).toEqual(['UPDATE']);
  });

  it('is asked for again when it is missing again', async () => {
    await callWith('generic', PARTIAL);
    await arrived.promise;
    await update(COMPLETE);
    await update(PARTIAL); // there is something that it adds to
    expect(requests).toHaveLength(1);
    arrived = Promise.withResolvers();
    await update('rubbish');
    await arrived.promise;
    expect(requests).toHaveLength(2);
  });

  it.each<[string, SourceProfile, string | Buffer, Header[]]>([
    ['of BroadWorks', 'broadworks', PARTIAL, []],
    ['of an SRC that does not know UPDATE', 'rfc7866', PARTIAL, [['Allow', 'INVITE, ACK, BYE']]],
    ['when all is there', 'rfc7866', COMPLETE, []],
  ])('is not asked for %s', async (_whom, profile, metadata, extra) => {
    await callWith(profile, metadata, extra);
    await update(metadata);
    await call.bye();
    await recorder.logs.find('recording ended', { sipCallId: call.facts.sipCallId });
    expect(requests).toEqual([]);
  });
});
