import {
  encodeFrame,
  encodeNewRequest,
  encodeReply,
  encodeRequestSent,
  encodeResponseSent,
  encodeSip,
  frameReader,
  parseAppMessage,
  type SipOnTheWire,
  WireError,
} from '../../../local/sip-server/wire.ts';

const SIP: SipOnTheWire = {
  source: 'network',
  peer: { protocol: 'udp', address: '127.0.0.1', port: 5070 },
  bytes: Buffer.from('OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n'),
};

/** The fields and the SIP of one frame. */
function decode(frame: Buffer): { fields: string[]; sip: string } {
  const [message] = frameReader()(frame);
  const text = String(message);
  const [head = '', ...rest] = text.split('\r\n');
  return { fields: head.split('|'), sip: rest.join('\r\n') };
}

describe('frames', () => {
  it('are found however the stream is cut, with lengths in bytes', () => {
    const stream = Buffer.concat([encodeFrame('a|ping'), encodeFrame('ü|#12#'), encodeFrame('b|ping')]);
    expect(stream.toString()).toBe('6#a|ping7#ü|#12#6#b|ping');
    for (let size = 1; size <= stream.length; size++) {
      const read = frameReader();
      const messages: string[] = [];
      for (let i = 0; i < stream.length; i += size)
        messages.push(...read(stream.subarray(i, i + size)).map(String));
      expect(messages).toEqual(['a|ping', 'ü|#12#', 'b|ping']);
    }
  });

  it.each(['x', '12x', '#', '100000#', '100000', '-1#', '\r\n'])('refuse the length "%s"', (text) => {
    expect(() => frameReader()(Buffer.from(text))).toThrow(WireError);
  });
});

describe('messages of applications', () => {
  const sip = 'SIP/2.0 200 OK\r\n\r\nv=0\r\n';

  it.each([
    ['1|authenticate|cymru|tag1,tag2', { type: 'authenticate', id: '1', secret: 'cymru' }],
    ['1|authenticate|cymru', { type: 'authenticate', id: '1', secret: 'cymru' }],
    ['1|route|INVITE', { type: 'route', id: '1', verb: 'invite' }],
    ['1|remove_route|invite', { type: 'remove_route', id: '1', verb: 'invite' }],
    ['1|ping', { type: 'ping', id: '1' }],
    ['1|proxy|txn||fullResponse', { type: 'proxy', id: '1' }],
    [
      `1|sip|txn||\r\n${sip}`,
      { type: 'sip', transactionId: 'txn', dialogId: '', routeUri: '', sip: Buffer.from(sip) },
    ],
    [`1|sip|txn|\r\n${sip}`, { type: 'sip', transactionId: 'txn', dialogId: '' }],
    [`1|sip||a@b;from-tag=c|\r\n${sip}`, { type: 'sip', transactionId: '', dialogId: 'a@b;from-tag=c' }],
    [`1|sip|||sip:127.0.0.1\r\n${sip}`, { type: 'sip', routeUri: 'sip:127.0.0.1' }],
    ['1|sip|txn', { type: 'sip', sip: Buffer.alloc(0) }],
    ['1|nonsense|x', { type: 'unknown', id: '1', name: 'nonsense' }],
    ['', { type: 'unknown', id: '', name: '' }],
  ])('%j', (text, expected) => {
    expect(parseAppMessage(Buffer.from(text))).toMatchObject(expected);
  });
});

describe('messages of the server', () => {
  const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
  const time = expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3}$/);
  const meta = ['network', String(SIP.bytes.length), 'udp', '127.0.0.1', '5070', time];

  it.each([
    ['replies', encodeReply('1', 'OK', 'pong'), [uuid, 'response', '1', 'OK', 'pong'], ''],
    [
      'requests outside dialogs',
      encodeNewRequest(SIP, 'txn', { address: '127.0.0.1', port: 5060 }),
      [uuid, 'sip', ...meta, 'txn', '', '127.0.0.1', '5060', ''],
      String(SIP.bytes),
    ],
    [
      'requests inside dialogs',
      encodeSip(SIP, 'txn', 'a;from-tag=b'),
      [uuid, 'sip', ...meta, 'txn', 'a;from-tag=b', ''],
      String(SIP.bytes),
    ],
    [
      'responses that were sent',
      encodeResponseSent('1', SIP, 'txn', 'a;from-tag=b'),
      [uuid, 'response', '1', 'OK', ...meta, 'txn', 'a;from-tag=b', '', 'Msg sent:', ''],
      String(SIP.bytes),
    ],
    [
      'requests that were sent',
      encodeRequestSent('1', SIP, 'txn'),
      [uuid, 'response', '1', 'OK', ...meta, 'txn', 'Msg sent:', ''],
      String(SIP.bytes),
    ],
  ])('%s', (_, frame, fields, sip) => {
    expect(decode(frame)).toEqual({ fields, sip });
  });
});
