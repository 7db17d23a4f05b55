import { SipParseError } from '../../../local/sip/errors.ts';
import { header, makeRequest, makeResponse } from '../../../local/sip/message.ts';
import {
  completeMessage,
  contact,
  type Local,
  ownHeaders,
  withContact,
} from '../../../local/sip-server/completion.ts';
import { answerSessionTimer, sessionExpires } from '../../../local/sip-server/session-timer.ts';

const LOCAL: Local = { protocol: 'tcp', address: '127.0.0.1', port: 5060 };
const complete = (...lines: string[]) => completeMessage(Buffer.from(lines.join('\r\n')), LOCAL, true);

describe('completeMessage', () => {
  it.each([
    ['contact', '<sip:srs@localhost>;+sip.srs', '<sip:srs@127.0.0.1:5060>;+sip.srs'],
    ['Contact', '<sip:localhost;transport=tcp>', '<sip:127.0.0.1:5060;transport=tcp>'],
    ['p-asserted-identity', '<sip:a@localhost:5080>', '<sip:a@127.0.0.1:5060>'],
    ['contact', '<sip:localhost@example.com>', '<sip:localhost@example.com>'],
    ['contact', '<sip:a@localhost.example.com>', '<sip:a@localhost.example.com>'],
    ['x-localhost', 'sip:a@localhost', 'sip:a@localhost'],
  ])('writes our address into %s: %s', (name, value, expected) => {
    expect(header(complete('SIP/2.0 200 OK', `${name}: ${value}`, '', ''), name)).toBe(expected);
  });

  it('writes names as usual, except those with capitals', () => {
    const { headers } = complete('SIP/2.0 200 OK', 'retry-after: 1', 'min-se: 90', 'X-odd-Name: 1', '', '');
    expect(headers.map(([name]) => name)).toEqual(['Retry-After', 'Min-SE', 'X-odd-Name']);
  });

  it('knows an SDP, and refuses other bodies without type in requests only', () => {
    const sdp = complete('INFO sip:a SIP/2.0', 'content-length: 999', '', 'v=0', '');
    expect([header(sdp, 'Content-Type'), sdp.body.toString()]).toEqual(['application/sdp', 'v=0\r\n']);
    expect(() => complete('INFO sip:a SIP/2.0', '', 'hello')).toThrow(
      new SipParseError('missing content-type'),
    );
    const typed = complete('INFO sip:a SIP/2.0', 'content-type: text/plain', '', 'v=0');
    expect(header(typed, 'Content-Type')).toBe('text/plain');
    const response = completeMessage(Buffer.from('SIP/2.0 200 OK\r\n\r\nhello'), LOCAL, false);
    expect(header(response, 'Content-Type')).toBeUndefined();
  });

  it('drops what the transaction dictates', () => {
    const message = complete(
      'SIP/2.0 200 OK',
      'via: x',
      'from: a',
      'to: b',
      'call-id: c',
      'cseq: 1 INVITE',
      'record-route: r',
      'route: r',
      'rseq: 1',
      'content-length: 0',
      'allow: INVITE',
      '',
      '',
    );
    expect(ownHeaders(message)).toEqual([['Allow', 'INVITE']]);
  });

  it('adds a Contact where there is none', () => {
    expect(withContact([], LOCAL)).toEqual([['Contact', '<sip:127.0.0.1:5060;transport=tcp>']]);
    expect(withContact([['contact', '<sip:a>']], LOCAL)).toEqual([['contact', '<sip:a>']]);
    expect(contact({ ...LOCAL, protocol: 'udp' })).toBe('<sip:127.0.0.1:5060>');
  });
});

describe('session timers', () => {
  const invite = (value?: string) =>
    makeRequest('INVITE', 'sip:a', value === undefined ? [] : [['Session-Expires', value]]);
  const answer = (value?: string) =>
    makeResponse(invite(), 200, value === undefined ? {} : { headers: [['Session-Expires', value]] });

  it.each([
    ['none', undefined, undefined, { headers: [] }],
    ['an offer without refresher, declined', '1800', undefined, { headers: [] }],
    [
      'an offer with refresher',
      '1800;refresher=uac',
      undefined,
      { timer: { seconds: 1800, refresher: 'uac' }, headers: [['Session-Expires', '1800;refresher=uac']] },
    ],
    [
      'an offer that is too small',
      '30; Refresher = uas',
      undefined,
      { timer: { seconds: 90, refresher: 'uas' }, headers: [['Session-Expires', '90;refresher=uas']] },
    ],
    ['an answer of the application', '1800;refresher=uac', '600', { timer: { seconds: 600 }, headers: [] }],
  ])('%s', (_, offered, answered, expected) => {
    expect(answerSessionTimer(invite(offered), answer(answered))).toEqual(expected);
  });

  it('ignore what is no number', () => {
    expect(sessionExpires(invite('soon;refresher=uac'))).toBeUndefined();
  });
});
