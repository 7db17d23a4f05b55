import { XMLParser } from 'fast-xml-parser';
import { makeCall, type StreamMode } from '../../../local/broadworks/call.ts';
import { makeInvite } from '../../../local/broadworks/messages.ts';
import { makeOffer, readAnswer, SdpAnswerError } from '../../../local/broadworks/sdp.ts';
import { header, parseMessage, serialise } from '../../../local/sip/message.ts';

const LOCAL = { address: '192.0.2.5', port: 5060, transport: 'udp' as const };
const PLATFORM = { domain: 'siprec.rec.example.com' };

function call(callNumber: number, mode: StreamMode = 'dual') {
  return makeCall({
    callNumber,
    localAddress: LOCAL.address,
    codec: 'pcmu',
    mode,
    rtpPorts: mode === 'dual' ? [16_384, 16_386] : [16_384],
  });
}

const offer = (of: ReturnType<typeof call>) =>
  makeOffer(of, { localAddress: LOCAL.address, version: 1, paused: false });

const xml = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false });
const metadataOf = (body: string) => xml.parse(body.slice(body.indexOf('<?xml'), body.lastIndexOf('>') + 1));

describe('BroadWorks', () => {
  const outgoing = call(1);
  const invite = makeInvite(outgoing, 'broadworks', PLATFORM, LOCAL, offer(outgoing));
  const body = invite.body.toString();

  it('writes headers as BroadWorks does, and they survive the wire', () => {
    const parsed = parseMessage(
      serialise(
        invite.headers.length
          ? { ...invite, headers: [['Via', 'SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx'], ...invite.headers] }
          : invite,
      ),
    );
    expect(invite.uri).toBe('sip:siprec.rec.example.com');
    expect(header(parsed, 'Contact')).toMatch(/^<sip:[^>]+;transport=udp>;src$/);
    expect(header(parsed, 'From')).toMatch(/^"User 1"<sip:\+12015550100@192\.0\.2\.5;user=phone>;tag=/);
    expect(header(parsed, 'Recv-Info')).toBe('');
    expect(header(parsed, 'Supported')).toBe('');
    expect(header(parsed, 'Require')).toBeUndefined();
    expect(header(parsed, 'Session-Expires')).toBeUndefined();
    expect(header(parsed, 'Content-Type')).toBe('multipart/mixed;boundary=UniqueBroadWorksBoundary');
    expect(header(parsed, 'Call-ID')).toMatch(/^BW\d/);
  });

  it('puts metadata first, with part headers without blank after the colon and their own lengths', () => {
    const [, metadata = '', sdp = '', end] = body.split('--UniqueBroadWorksBoundary');
    expect(end).toBe('--\r\n');
    for (const [part, type] of [
      [metadata, 'application/rs-metadata+xml'],
      [sdp, 'application/sdp'],
    ] as const) {
      expect(part).toContain(`\r\nContent-Type:${type}\r\n`);
      const length = Number(/Content-Length:(\d+)/.exec(part)?.[1]);
      // The line end before the delimiter belongs to the delimiter.
      expect(part.slice(part.indexOf('\r\n\r\n') + 4, -2)).toHaveLength(length);
    }
    expect(sdp).toContain('m=audio 16384 RTP/AVP 0');
    expect(sdp).toContain('a=label:2');
  });

  it('describes an outgoing call in the pre-RFC dialect with extension 3.0', () => {
    const { recording_metadata: metadata } = metadataOf(
      body.slice(0, body.indexOf('</recording_metadata>') + 21),
    );
    expect(metadata['@xmlns']).toBe('urn:ietf:params:xml:ns:siprec');
    expect(metadata.dataMode).toBe('complete');
    expect(metadata.participant).toHaveLength(2);
    expect(metadata.participant[0].send.id).toBe(metadata.stream[0]['@id']);
    expect(metadata.participant[1].send.id).toBe(metadata.stream[1]['@id']);
    expect(
      metadata.stream.map((stream: { label: string; mode: string }) => [stream.label, stream.mode]),
    ).toEqual([
      ['1', 'separate'],
      ['2', 'separate'],
    ]);
    expect(metadata.session['@group']).toBe(metadata.group['@id']);
    expect(metadata.extensiondata['@parent']).toBe(metadata.session['@id']);
    expect(metadata.extensiondata.broadWorksRecordingMetadata).toMatchObject({
      '@version': '3.0',
      extTrackingID: outgoing.extTrackingId,
      serviceProviderID: 'ExampleTelecom',
      userID: '+12015550100@example.com',
      callType: { origCall: { callingPartyNumber: '+12015550100', calledPartyNumber: '+12015550101' } },
      recordingType: 'on',
    });
  });

  it('describes an incoming call on one mixed stream', () => {
    const incoming = call(2, 'single');
    const text = makeInvite(incoming, 'broadworks', PLATFORM, LOCAL, offer(incoming)).body.toString();
    const { recording_metadata: metadata } = metadataOf(
      text.slice(0, text.indexOf('</recording_metadata>') + 21),
    );
    expect(metadata.stream).toMatchObject({ label: '1', mode: 'mixed' });
    expect(metadata.participant.map((who: { send: { id: string } }) => who.send.id)).toEqual([
      metadata.stream['@id'],
      metadata.stream['@id'],
    ]);
    expect(metadata.extensiondata.broadWorksRecordingMetadata.callType).toEqual({
      termCall: {
        callingPartyNumber: incoming.other.number,
        calledPartyNumber: incoming.recordedUser.number,
      },
    });
    expect(text.match(/^m=audio/gm)).toHaveLength(1);
  });
});

describe('RFC 7866', () => {
  const strict = call(1);
  const invite = makeInvite(strict, 'rfc7866', { ...PLATFORM, port: 5070 }, LOCAL, offer(strict));
  const body = invite.body.toString();

  it('carries both markers of a recording session and the disposition', () => {
    expect(invite.uri).toBe('sip:siprec.rec.example.com:5070');
    expect(header(invite, 'Require')).toBe('siprec');
    expect(header(invite, 'Contact')).toMatch(/>;\+sip\.src$/);
    expect(body).toContain('Content-Disposition: recording-session\r\n');
    expect(body.indexOf('application/sdp')).toBeLessThan(body.indexOf('application/rs-metadata+xml'));
  });

  it('describes the call by RFC 7865: every reference leads somewhere', () => {
    const { recording } = metadataOf(body.slice(0, body.indexOf('</recording>') + 12));
    expect(recording['@xmlns']).toBe('urn:ietf:params:xml:ns:recording:1');
    expect(recording.datamode).toBe('complete');
    const streams = recording.stream.map((stream: Record<string, string>) => stream['@stream_id']);
    expect(streams).toHaveLength(2);
    for (const id of streams) expect(Buffer.from(id, 'base64')).toHaveLength(16);
    expect(recording.session['group-ref']).toBe(recording.group['@group_id']);
    expect(
      recording.participantstreamassoc.map((assoc: { send: string; recv: string }) => [
        assoc.send,
        assoc.recv,
      ]),
    ).toEqual([
      [streams[0], streams[1]],
      [streams[1], streams[0]],
    ]);
    expect(recording.participant[0].nameID['@aor']).toBe('sip:+12015550100@example.com;user=phone');
  });
});

describe('the answer', () => {
  const dual = call(1);
  const answer = (media: string) =>
    `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n${media}`;

  it('says where each stream goes', () => {
    const sdp = answer('m=audio 30000 RTP/AVP 0\r\nm=audio 30002 RTP/AVP 0 101\r\nc=IN IP4 192.0.2.2\r\n');
    expect(readAnswer(dual, sdp)).toEqual([
      { address: '192.0.2.1', port: 30_000 },
      { address: '192.0.2.2', port: 30_002 },
    ]);
  });

  it.each([
    ['m=audio 30000 RTP/AVP 0\r\n', '1 m-lines for 2 offered'],
    ['m=audio 30000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n', 'stream 2 is refused'],
    ['m=audio 30000 RTP/AVP 8\r\nm=audio 30002 RTP/AVP 0\r\n', 'stream 1 lacks payload type 0'],
  ])('that does not fit is an error: %j', (media, why) => {
    expect(() => readAnswer(dual, answer(media))).toThrow(SdpAnswerError);
    expect(() => readAnswer(dual, answer(media))).toThrow(why);
  });
});
