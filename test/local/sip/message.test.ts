import { SipParseError } from '../../../local/sip/errors.ts';
import {
  callId,
  cseq,
  fromTag,
  type Header,
  header,
  headerValues,
  isRequest,
  makeRequest,
  makeResponse,
  parseMessage,
  type SipRequest,
  serialise,
  topVia,
  toTag,
  withHeader,
  withoutHeaders,
} from '../../../local/sip/message.ts';
import { streamReader } from '../../../local/sip/stream.ts';
import {
  formatVia,
  parseCSeq,
  parseNameAddr,
  parseUri,
  parseVia,
  splitOutsideQuotes,
} from '../../../local/sip/values.ts';

const HEADERS: Header[] = [
  ['Via', 'SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa;rport'],
  ['From', '"Alice"<sip:+12025550101@example.com;user=phone>;tag=f1'],
  ['To', '<sip:127.0.0.1:5060>'],
  ['Call-ID', 'BW1@127.0.0.1'],
  ['CSeq', '1002417742 INVITE'],
];

const lines = (...text: string[]): Buffer => Buffer.from(text.join('\r\n'));
const invite = (...extra: string[]): Buffer =>
  lines(
    'INVITE sip:127.0.0.1:5060 SIP/2.0',
    ...HEADERS.map(([name, value]) => `${name}: ${value}`),
    ...extra,
    '',
    '',
  );

const damaged = (bytes: Buffer, index: number): Buffer =>
  Buffer.concat([bytes.subarray(0, index), Buffer.from([0xff]), bytes.subarray(index + 1)]);

const failure = (bytes: Buffer): SipParseError => {
  try {
    parseMessage(bytes);
  } catch (error) {
    if (error instanceof SipParseError) return error;
    throw error;
  }
  throw new Error('this should not have been parsed');
};

describe('parseMessage', () => {
  it('reads a request and gives back the same bytes', () => {
    const bytes = Buffer.concat([invite('Content-Length: 5'), Buffer.from('v=0\r\n')]);
    const message = parseMessage(bytes);
    expect(isRequest(message) && [message.method, message.uri]).toEqual(['INVITE', 'sip:127.0.0.1:5060']);
    expect(message.body.toString()).toBe('v=0\r\n');
    expect([callId(message), fromTag(message), toTag(message)]).toEqual(['BW1@127.0.0.1', 'f1', undefined]);
    expect(cseq(message)).toEqual({ seq: 1002417742, method: 'INVITE' });
    expect(topVia(message)).toMatchObject({ protocol: 'udp', host: '127.0.0.1', port: 5070 });
    expect(serialise(message)).toEqual(bytes);
  });

  it('reads compact forms, folded lines, odd case and bare line feeds', () => {
    const text = [
      'BYE sip:a@127.0.0.1 SIP/2.0',
      'v:SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1 , SIP/2.0/UDP 127.0.0.2',
      'VIA : SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK3',
      'f: <sip:a@example.com>',
      '\t;tag=1',
      't: sip:b@example.com;tag=2',
      'i: x',
      'cseq:  7   BYE',
      'Subject: one',
      '  two',
      'l: 2',
      '',
      'okay',
    ].join('\n');
    const message = parseMessage(Buffer.from(text));
    expect(headerValues(message, 'via').map((via) => parseVia(via).host)).toEqual([
      '127.0.0.1',
      '127.0.0.2',
      '127.0.0.3',
    ]);
    expect([fromTag(message), toTag(message), callId(message)]).toEqual(['1', '2', 'x']);
    expect(header(message, 'subject')).toBe('one two');
    expect(message.body.toString()).toBe('ok');
  });

  it('reads a response, also without a reason', () => {
    const response = (line: string) =>
      parseMessage(Buffer.concat([lines(line, ''), invite().subarray(invite().indexOf('Via'))]));
    expect(response('SIP/2.0 200 OK')).toMatchObject({ status: 200, reason: 'OK' });
    expect(response('SIP/2.0 487')).toMatchObject({ status: 487, reason: '' });
  });

  it('keeps the body as bytes', () => {
    const body = Buffer.from([0, 255, 13, 10, 13, 10, 200]);
    const message = parseMessage(Buffer.concat([invite('Content-Length: 7'), body]));
    expect(message.body).toEqual(body);
  });

  it('skips line ends before the start line', () => {
    expect(parseMessage(Buffer.concat([Buffer.from('\r\n\r\n'), invite()]))).toMatchObject({
      method: 'INVITE',
    });
  });

  it.each([
    ['a body that is too short', Buffer.concat([invite('Content-Length: 9'), Buffer.from('v=0')]), 400],
    ['two lengths', invite('Content-Length: 0', 'Content-Length: 1'), 400],
    ['a length that is no number', invite('Content-Length: many'), 400],
    ['a line without colon', invite('nonsense'), 400],
    ['another SIP version', Buffer.from(invite().toString().replace('SIP/2.0', 'SIP/3.0')), 505],
    ['a CSeq of another method', Buffer.from(invite().toString().replace('742 INVITE', '742 BYE')), 400],
    ['a CSeq that is none', Buffer.from(invite().toString().replace('1002417742', '99999999999')), 400],
    [
      'a From that is none',
      Buffer.from(
        invite()
          .toString()
          .replace(/From: .*/, 'From: <<>'),
      ),
      400,
    ],
    ['no empty line', invite().subarray(0, -4), 400],
  ])('reports %s so that it can be answered', (_, bytes, status) => {
    const error = failure(bytes);
    expect(error.status).toBe(status);
    expect(error.request?.method).toBe('INVITE');
    expect(makeResponse(error.request as SipRequest, status).headers).toHaveLength(5);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['line ends', Buffer.from('\r\n\r\n')],
    ['noise', Buffer.from([0, 1, 2, 255, 254, 13, 10, 58])],
    ['HTTP', lines('GET / HTTP/1.1', 'Host: example.com', '', '')],
    ['STUN', Buffer.from('000100002112a442', 'hex')],
    ['only a start line', lines('INVITE sip:a SIP/2.0', '', '')],
    [
      'a Via that is none',
      Buffer.from(
        invite()
          .toString()
          .replace(/Via: .*/, 'Via: x'),
      ),
    ],
    ['an ACK, which has no answer', Buffer.from(invite('bad').toString().replaceAll('INVITE', 'ACK'))],
    ['a bad response', lines('SIP/2.0 200 OK', 'Via: x', '', '')],
    ['a status out of range', lines('SIP/2.0 700 OK', '', '')],
  ])('reports %s as unanswerable', (_, bytes) => {
    expect(failure(bytes).request).toBeUndefined();
  });

  it('throws nothing but SipParseError, wherever a message is cut or damaged', () => {
    const whole = Buffer.concat([
      invite('Contact: <sip:a@127.0.0.1>;src', 'Content-Length: 3'),
      Buffer.from('v=0'),
    ]);
    let refused = 0;
    for (let i = 0; i < whole.length; i++) {
      for (const bytes of [whole.subarray(0, i), whole.subarray(i), damaged(whole, i)]) {
        try {
          parseMessage(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SipParseError);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(whole.length);
  });
});

describe('headers', () => {
  it('replaces in place, appends and removes without case', () => {
    const headers: Header[] = [
      ['A', '1'],
      ['b', '2'],
      ['a', '3'],
    ];
    expect(withHeader(headers, 'a', '9')).toEqual([
      ['a', '9'],
      ['b', '2'],
    ]);
    expect(withHeader(headers, 'C', '9')).toHaveLength(4);
    expect(withoutHeaders(headers, 'A')).toEqual([['b', '2']]);
  });

  it('builds responses from what the request dictates', () => {
    const request = makeRequest('INVITE', 'sip:127.0.0.1', [
      ...HEADERS,
      ['Record-Route', '<sip:127.0.0.9;lr>'],
    ]);
    const ok = makeResponse(request, 200, {
      toTag: 't',
      headers: [['Contact', '<sip:b@127.0.0.1>']],
      body: 'x',
    });
    expect(toTag(ok)).toBe('t');
    expect(headerValues(ok, 'Record-Route')).toEqual(['<sip:127.0.0.9;lr>']);
    expect(header(ok, 'Contact')).toBe('<sip:b@127.0.0.1>');
    const refusal = makeResponse(request, 503, { toTag: 't' });
    expect(refusal.reason).toBe('Service Unavailable');
    expect(headerValues(refusal, 'Record-Route')).toEqual([]);
    const inDialog = { ...request, headers: withHeader(HEADERS, 'To', '<sip:b@127.0.0.1>;tag=old') };
    expect(toTag(makeResponse(inDialog, 200, { toTag: 'new' }))).toBe('old');
  });

  it('counts the length in bytes', () => {
    const text = serialise(makeRequest('INFO', 'sip:127.0.0.1', HEADERS, 'é')).toString();
    expect(text).toMatch(/Content-Length: 2\r\n\r\né$/);
  });
});

describe('values', () => {
  it.each([
    ['"A, <B> \\"C\\"" <sip:a@127.0.0.1;lr>;tag=1', { displayName: 'A, <B> "C"', uri: 'sip:a@127.0.0.1;lr' }],
    ['Alice Smith <sip:a@127.0.0.1>', { displayName: 'Alice Smith', uri: 'sip:a@127.0.0.1' }],
    ['<sip:a@127.0.0.1>', { uri: 'sip:a@127.0.0.1' }],
    ['sip:a@127.0.0.1;tag=1', { uri: 'sip:a@127.0.0.1' }],
    ['Grüße<sip:a@127.0.0.1>;+sip.src', { displayName: 'Grüße', uri: 'sip:a@127.0.0.1' }],
  ])('reads the name-addr %s', (text, expected) => {
    expect(parseNameAddr(text)).toMatchObject(expected);
  });

  it('keeps header and URI parameters apart', () => {
    expect([...parseNameAddr('<sip:a@127.0.0.1;x=1>;Tag=2;src').params]).toEqual([
      ['tag', '2'],
      ['src', undefined],
    ]);
    expect([...parseNameAddr('sip:a@127.0.0.1;tag=1;tag=2').params]).toEqual([['tag', '1']]);
  });

  it.each([
    ['sip:127.0.0.1:5060', { scheme: 'sip', host: '127.0.0.1', port: 5060 }],
    [
      'SIP:+12025550101;isub=1@example.com;transport=tcp?a=b',
      { user: '+12025550101;isub=1', host: 'example.com' },
    ],
    ['sips:a:secret@[::1]:5061', { scheme: 'sips', user: 'a:secret', host: '[::1]', port: 5061 }],
    ['tel:+12025550101;phone-context=example.com', { scheme: 'tel', user: '+12025550101', host: '' }],
  ])('reads the URI %s', (text, expected) => {
    expect(parseUri(text)).toMatchObject(expected);
  });

  it.each(['', 'sip:', 'nonsense', 'sip:a@', 'sip:a:99999', 'sip:a b'])('refuses the URI "%s"', (text) => {
    expect(() => parseUri(text)).toThrow(SipParseError);
  });

  it('reads and writes Via', () => {
    const via = parseVia('SIP / 2.0 / udp  [::1] : 5070 ; branch=z9hG4bK ;rport');
    expect(formatVia(via)).toBe('SIP/2.0/UDP [::1]:5070;branch=z9hG4bK;rport');
    expect(() => parseVia('SIP/2.0/UDP')).toThrow(SipParseError);
  });

  it('reads CSeq up to 2^31 - 1', () => {
    expect(parseCSeq('2147483647 INVITE').seq).toBe(2147483647);
    expect(() => parseCSeq('2147483648 INVITE')).toThrow(SipParseError);
  });

  it('splits lists outside quotes and angle brackets', () => {
    expect(splitOutsideQuotes('"a,\\"b" <sip:x,y>, c ,,d', ',')).toEqual(['"a,\\"b" <sip:x,y>', 'c', 'd']);
  });
});

describe('streamReader', () => {
  const first = Buffer.concat([invite('Content-Length: 4'), Buffer.from('\r\n\r\n')]);
  const second = invite('l:0');

  it('finds the same messages however the stream is cut', () => {
    const stream = Buffer.concat([Buffer.from('\r\n'), first, Buffer.from('\r\n\r\n'), second]);
    for (const size of [1, 7, 100, stream.length]) {
      const read = streamReader();
      const messages: Buffer[] = [];
      let pings = 0;
      for (let i = 0; i < stream.length; i += size) {
        const part = read(stream.subarray(i, i + size));
        messages.push(...part.messages);
        pings += part.pings;
      }
      expect(messages).toEqual([first, second]);
      expect(pings).toBe(1);
    }
  });

  it('gives up on a stream it cannot frame, after the messages before the fault', () => {
    const { messages, error } = streamReader()(Buffer.concat([second, invite()]));
    expect(messages).toEqual([second]);
    expect(error?.message).toMatch('no Content-Length');
    expect(error?.request?.method).toBe('INVITE');
    expect(streamReader()(invite('Content-Length: 99999999')).error?.message).toMatch('body of');
    expect(streamReader()(Buffer.alloc(70_000, 'a')).error?.message).toMatch('bytes of headers');
  });
});
