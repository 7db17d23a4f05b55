/** Answers that `docs/conformance.md` claims, and that no request of the other tests gets. */
import { rfc7865Metadata } from '../../../local/broadworks/metadata.ts';
import { type Header, header, withHeader } from '../../../local/sip/message.ts';
import { type LocalRecorder, startTestRecorder } from '../../helpers/recorder.ts';
import { finalOf, multipart, SDP, Src } from '../../helpers/src.ts';

let recorder: LocalRecorder;
let src: Src;

beforeEach(async () => {
  recorder = await startTestRecorder();
  src = await Src.start(recorder.sipServer.sipPort);
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

describe('a request with several faults', () => {
  const REQUIRE: Header = ['Require', 'example'];

  it('is refused for its method, then for its extensions, then for its body', async () => {
    const method = await src.request('MESSAGE', 'udp', [REQUIRE]);
    expect(method.status).toBe(405);
    const invited = async (extra: Header[]) => {
      const call = await src.call();
      const invite = call.invite();
      const headers = withHeader(invite.headers, 'Content-Type', 'application/example');
      return finalOf(call.send({ ...invite, headers: [...headers, ...extra] }));
    };
    const extension = await invited([REQUIRE]);
    expect([extension.status, header(extension, 'Unsupported')]).toEqual([420, 'example']);
    expect((await invited([])).status).toBe(415);
  });
});

describe('an offer', () => {
  it('of audio and video gets ports for the audio alone, all m-lines in their places', async () => {
    const call = await src.call();
    const video = (label: number) =>
      `m=video ${7_000 + label} RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\na=label:${label}\r\na=sendonly\r\n`;
    const answer = await call.start(call.invite(`${call.offer()}${video(3)}${video(4)}`));
    expect(answer.body.toString().match(/^m=\w+ (?:0 .*|[1-9])/gm)).toEqual([
      expect.stringMatching(/^m=audio [1-9]/),
      expect.stringMatching(/^m=audio [1-9]/),
      'm=video 0 RTP/AVPF 96',
      'm=video 0 RTP/AVPF 96',
    ]);
  });

  it('with the recording attributes of a communication session gets none back', async () => {
    const call = await src.call();
    const answer = await call.start(call.invite(`${call.offer()}a=record:on\r\na=recordpref:on\r\n`));
    expect(answer.body.toString()).toContain('a=recvonly');
    expect(answer.body.toString()).not.toContain('a=record');
  });
});

describe('metadata', () => {
  it('that refers to elements of another SRC costs no call', async () => {
    const call = await src.call({ shape: 'rfc7866' });
    const foreign =
      '<participantsessionassoc participant_id="foreign" session_id="foreign"></participantsessionassoc>';
    const xml = rfc7865Metadata(call.facts).replace('</recording>', `${foreign}</recording>`);
    expect(xml).toContain(foreign);
    const { headers, body } = multipart(call.offer(), xml);
    const invite = call.invite();
    const kept = headers.reduce((all, [name, value]) => withHeader(all, name, value), [...invite.headers]);
    await call.start({ ...invite, headers: kept, body });
    const again = await call.request('INVITE', [SDP], call.offer());
    expect(again.status).toBe(200);
  });
});
