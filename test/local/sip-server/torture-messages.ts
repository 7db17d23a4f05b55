/**
 * Messages with the traits of RFC 4475 ("SIP torture test messages"), one for each of its sections, written anew with
 * documentation names and loopback addresses; and what has to become of each.
 *
 * Where the RFC leaves a choice between tolerance and refusal, `becomes` is what this server does. Messages that are
 * valid for the SIP layer and wrong for an application alone are the application's to refuse.
 */

/** Handed to the application; answered by the server itself with that status; or dropped, for want of anyone to answer. */
export type Fate = 'handed' | 'dropped' | number;

export interface TortureMessage {
  /** Section of RFC 4475, and the name that it gives the message. */
  name: string;
  bytes: Buffer;
  becomes: Fate;
}

const HOST = '127.0.0.1';

let count = 0;
/** Headers that make any request complete; each message is a transaction of its own. */
const usual = (method: string, branch = `z9hG4bKtorture${++count}`): Record<string, string> => ({
  Via: `SIP/2.0/UDP ${HOST}:5070;branch=${branch}`,
  'Max-Forwards': '70',
  From: `<sip:caller@example.net>;tag=from${count}`,
  To: '<sip:user@example.com>',
  'Call-ID': `torture${count}@example.net`,
  CSeq: `${count} ${method}`,
  Contact: `<sip:caller@${HOST}>`,
});

/** Names in the order in which they were given; undefined leaves one out. */
const lines = (headers: Record<string, string | undefined>): string =>
  Object.entries(headers)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');

type Changes = Record<string, string | undefined>;

const request = (method: string, changes: Changes = {}, startLine?: string, body = ''): Buffer =>
  Buffer.from(
    `${startLine ?? `${method} sip:user@example.com SIP/2.0`}\r\n` +
      lines({ ...usual(method), 'Content-Length': String(Buffer.byteLength(body)), ...changes }) +
      `\r\n${body}`,
  );

const response = (statusLine: string, changes: Changes = {}): Buffer =>
  Buffer.from(`${statusLine}\r\n${lines({ ...usual('INVITE'), 'Content-Length': '0', ...changes })}\r\n`);

const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';
const long = (text: string, times: number): string => text.repeat(times);

/** 3.1.1.1: blanks and line breaks wherever the grammar allows them, compact names, unknown headers. */
const tortuousInvite = Buffer.from(
  [
    'INVITE sip:user@example.com;unknownparam SIP/2.0',
    'TO :',
    ' sip:user@example.com ;   tag    = 1918181833n',
    'from   : "J Rosen \\\\\\""       <sip:jdrosen@example.com>',
    '  ;',
    '  tag = 98asjd8',
    'MaX-fOrWaRdS: 0068',
    'Call-ID: wsinv.ndaksdj@192.0.2.1',
    `Content-Length   : ${SDP.length}`,
    'cseq: 0009',
    '  INVITE',
    'Via  : SIP  /   2.0',
    ' /UDP',
    '    127.0.0.1;branch=390skdjuw',
    's :',
    'NewFangledHeader:   newfangled value',
    ' continued newfangled value',
    'UnknownHeaderWithUnusualValue: ;;,,;;,;',
    'Content-Type: application/sdp',
    'Route:',
    ' <sip:services.example.com;lr;unknownwith=value;unknown-no-value>',
    'v:  SIP  / 2.0  / TCP     spindle.example.com   ;',
    '  branch  =   z9hG4bK9ikj8  ,',
    ' SIP  /    2.0   / UDP  192.0.2.11   ; branch=',
    ' z9hG4bK30239',
    'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =',
    '      newvalue ;',
    '  secondparam ; q = 0.33',
    '',
    SDP,
  ].join('\r\n'),
);

/** 3.1.1.2: every character that is allowed somewhere, there. */
const ODD_METHOD = "!interesting-Method0123456789_*+`.%indeed'~";
const wideRange = request(
  ODD_METHOD,
  {
    Via: `SIP/2.0/UDP ${HOST}:5070;branch=z9hG4bK-.!%66*_+\`'~`,
    To: '"BEL:\u0007 NUL:\u0000 DEL:\u007f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>',
    From: "token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u00d1\u0080\u00d0\u00b0\";tag=_token~1'+`*%!-.",
    'Call-ID': 'intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{',
    "extensionHeader-!.%*+_`'~": '\ufeff\u5927\u505c\u96fb',
  },
  `${ODD_METHOD} sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0`,
);

/** 3.1.1.7: values longer than anybody expects. */
const longValues = request(
  'INVITE',
  {
    To: `"I have a user name of ${long('extreme ', 40)}proportion" <sip:user@example.com:6000;unknownparam1=${long('very', 30)}long>`,
    From: `<sip:${long('amazinglylongcallername', 10)}@example.net>;tag=12${long('982', 50)}424;unknownheaderparamname=${long('value', 40)}`,
    'Call-ID': `longreq.one${long('really', 40)}longcallid`,
    [`unknown-${long('long-', 30)}name`]: `unknown-${long('long-', 50)}value; unknown-parameter=${long('value', 50)}`,
    Via: [
      `SIP/2.0/UDP ${HOST}:5070;branch=z9hG4bKlong`,
      ...Array.from({ length: 33 }, (_, i) => `SIP/2.0/TCP sip${33 - i}.example.com;branch=z9hG4bK${i}`),
    ].join(', '),
    Contact: `<sip:${long('amazinglylongcallername', 10)}@${HOST}>`,
    'Content-Type': 'application/sdp',
  },
  `INVITE sip:user@example.com:6000;unknownparam=${long('long', 30)} SIP/2.0`,
  SDP,
);

/** 3.1.1.11: a part with every byte value. */
function binaryMultipart(): Buffer {
  const boundary = '7a9cbec02ceef655';
  const signature = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
  const body = Buffer.concat([
    Buffer.from(`--${boundary}\r\nContent-Type: text/plain\r\n\r\nHello\r\n--${boundary}\r\n`),
    Buffer.from('Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n'),
    signature,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  const head = request('MESSAGE', {
    'Content-Type': `multipart/mixed;boundary=${boundary}`,
    'Content-Length': String(body.length),
  });
  return Buffer.concat([head, body]);
}

/** A second message in one datagram: not to be read. */
const twoInOne = Buffer.concat([request('OPTIONS'), request('INVITE', { 'Call-ID': 'second@example.net' })]);

export const TORTURE_MESSAGES: readonly TortureMessage[] = [
  // 3.1.1: valid
  { name: '3.1.1.1 wsinv', bytes: tortuousInvite, becomes: 481 },
  { name: '3.1.1.2 intmeth', bytes: wideRange, becomes: 501 },
  {
    name: '3.1.1.3 esc01',
    bytes: request(
      'INVITE',
      { To: '<sip:%75se%72@example.com>', From: '<sip:I%20have%20spaces@example.net>;tag=938' },
      'INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0',
    ),
    becomes: 'handed',
  },
  {
    name: '3.1.1.4 escnull',
    bytes: request('REGISTER', {
      To: '<sip:null-%00-null@example.com>',
      From: '<sip:null-%00-null@example.com>;tag=839923423',
      Contact: '<sip:%00@127.0.0.1>, <sip:%00%00@127.0.0.1>',
    }),
    becomes: 'handed',
  },
  { name: '3.1.1.5 esc02', bytes: request('RE%47IST%45R'), becomes: 501 },
  {
    name: '3.1.1.6 lwsdisp',
    bytes: request('OPTIONS', { From: 'caller<sip:caller@example.com>;tag=323' }),
    becomes: 'handed',
  },
  { name: '3.1.1.7 longreq', bytes: longValues, becomes: 'handed' },
  { name: '3.1.1.8 dblreq', bytes: twoInOne, becomes: 'handed' },
  {
    name: '3.1.1.9 semiuri',
    bytes: request('OPTIONS', {}, 'OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0'),
    becomes: 'handed',
  },
  {
    name: '3.1.1.10 transports',
    bytes: request('OPTIONS', {
      Via: ['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP']
        .map((transport) => `SIP/2.0/${transport} t.example.com;branch=z9hG4bKt-${transport}`)
        .join(', '),
    }),
    becomes: 'handed',
  },
  { name: '3.1.1.11 mpart01', bytes: binaryMultipart(), becomes: 'handed' },
  {
    name: '3.1.1.12 unreason',
    bytes: response('SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e'),
    becomes: 'dropped',
  },
  { name: '3.1.1.13 noreason', bytes: response('SIP/2.0 100 '), becomes: 'dropped' },

  // 3.1.2: invalid
  {
    name: '3.1.2.1 badinv01',
    bytes: request('INVITE', {
      Contact: '"Joe" <sip:joe@example.org>;;;;',
      Via: `SIP/2.0/UDP ${HOST};;,;,,`,
    }),
    becomes: 400,
  },
  {
    name: '3.1.2.2 clerr',
    bytes: request('INVITE', { 'Content-Length': '9999' }, undefined, SDP),
    becomes: 400,
  },
  {
    name: '3.1.2.3 ncl',
    bytes: request('INVITE', { 'Content-Length': '-999' }, undefined, SDP),
    becomes: 400,
  },
  {
    name: '3.1.2.4 scalar02',
    bytes: request('REGISTER', {
      CSeq: '36893488147419103232 REGISTER',
      'Max-Forwards': '300',
      Expires: long('1', 101),
      Contact: `<sip:user@${HOST}>;expires=280297596632815`,
    }),
    becomes: 400,
  },
  {
    name: '3.1.2.5 scalarlg',
    bytes: response('SIP/2.0 503 Service Unavailable', {
      CSeq: '9292394834772304023312 OPTIONS',
      'Retry-After': '949302838503028349304023988',
    }),
    becomes: 'dropped',
  },
  {
    name: '3.1.2.6 quotbal',
    bytes: request('INVITE', { To: '"Mr. J. User <sip:user@example.com>' }),
    becomes: 400,
  },
  {
    name: '3.1.2.7 ltgtruri',
    bytes: request('INVITE', {}, 'INVITE <sip:user@example.com> SIP/2.0'),
    becomes: 400,
  },
  {
    name: '3.1.2.8 lwsruri',
    bytes: request('INVITE', {}, 'INVITE sip:user@example.com; lr SIP/2.0'),
    becomes: 400,
  },
  {
    name: '3.1.2.9 lwsstart',
    bytes: request('INVITE', {}, 'INVITE  sip:user@example.com  SIP/2.0'),
    becomes: 400,
  },
  {
    name: '3.1.2.10 trws',
    bytes: request('OPTIONS', {}, 'OPTIONS sip:user@example.com SIP/2.0  '),
    becomes: 400,
  },
  {
    name: '3.1.2.11 escruri',
    bytes: request('INVITE', {}, 'INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0'),
    becomes: 400,
  },
  // A time zone that a reader of Date would have to refuse; who does not need the date should not.
  {
    name: '3.1.2.12 baddate',
    bytes: request('INVITE', { Date: 'Fri, 01 Jan 2010 16:00:00 EST' }),
    becomes: 'handed',
  },
  {
    name: '3.1.2.13 regbadct',
    bytes: request('REGISTER', { Contact: 'sip:user@example.com?Route=%3Csip:sip.example.com%3E' }),
    becomes: 400,
  },
  {
    name: '3.1.2.14 badaspec',
    bytes: request('OPTIONS', { To: '"Watson, Thomas" < sip:t.watson@example.org >' }),
    becomes: 400,
  },
  {
    name: '3.1.2.15 baddn',
    bytes: request('OPTIONS', { From: 'Bell, Alexander <sip:a.g.bell@example.com>;tag=43' }),
    becomes: 400,
  },
  {
    name: '3.1.2.16 badvers',
    bytes: request('OPTIONS', {}, 'OPTIONS sip:user@example.com SIP/7.0'),
    becomes: 505,
  },
  { name: '3.1.2.17 mismatch01', bytes: request('OPTIONS', { CSeq: '8 INVITE' }), becomes: 400 },
  { name: '3.1.2.18 mismatch02', bytes: request('NEWMETHOD', { CSeq: '8 INVITE' }), becomes: 400 },
  {
    name: '3.1.2.19 bigcode',
    bytes: response('SIP/2.0 4294967301 better not break the receiver'),
    becomes: 'dropped',
  },

  // 3.2: transactions. The same branch, which is none, in two requests that have nothing to do with each other.
  ...[1, 2].map(
    (which): TortureMessage => ({
      name: `3.2.1 badbranch, request ${which}`,
      bytes: request('OPTIONS', { Via: `SIP/2.0/UDP ${HOST}:5070;branch=z9hG4bK` }),
      becomes: 'handed',
    }),
  ),

  // 3.3: for the application
  {
    name: '3.3.1 insuf',
    bytes: request('INVITE', { From: undefined, To: undefined, 'Call-ID': undefined }),
    becomes: 400,
  },
  {
    name: '3.3.2 unkscm',
    bytes: request('OPTIONS', {}, 'OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0'),
    becomes: 'handed',
  },
  {
    name: '3.3.3 novelsc',
    bytes: request('OPTIONS', {}, 'OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0'),
    becomes: 'handed',
  },
  {
    name: '3.3.4 unksm2',
    bytes: request('REGISTER', {
      To: '<isbn:2983792873>',
      From: '<http://www.example.com>;tag=3234233',
      Contact: '<name:John_Smith>',
    }),
    becomes: 'handed',
  },
  {
    name: '3.3.5 bext01',
    bytes: request('OPTIONS', {
      Require: 'nothingSupportsThis, nothingSupportsThisEither',
      'Proxy-Require': 'noProxiesSupportThis',
    }),
    becomes: 'handed',
  },
  {
    name: '3.3.6 invut',
    bytes: request(
      'INVITE',
      { 'Content-Type': 'application/unknownformat' },
      undefined,
      '<audio><pcmu port="443"/></audio>',
    ),
    becomes: 'handed',
  },
  {
    name: '3.3.7 regaut01',
    bytes: request('REGISTER', { Authorization: 'NoOneKnowsThisScheme opaque-data=here' }),
    becomes: 'handed',
  },
  {
    name: '3.3.8 multi01',
    bytes: request('INVITE', {
      'CSeq ': '59 INVITE',
      'call-ID': 'another@example.net',
      to: '<sip:other@example.com>',
      from: '<sip:other@example.net>;tag=3413415',
      'max-forwards': '5',
    }),
    becomes: 400,
  },
  {
    name: '3.3.9 mcl01',
    bytes: request('OPTIONS', { 'Content-Length': '13', 'content-length': '5' }, undefined, "There's no way"),
    becomes: 400,
  },
  {
    name: '3.3.10 bcast',
    bytes: response('SIP/2.0 200 OK', {
      Via: 'SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923, SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23',
    }),
    becomes: 'dropped',
  },
  // A user agent is where the request was going: nothing is forwarded, and nothing has to be refused.
  { name: '3.3.11 zeromf', bytes: request('OPTIONS', { 'Max-Forwards': '0' }), becomes: 'handed' },
  {
    name: '3.3.12 cparam01',
    bytes: request('REGISTER', { Contact: '<sip:+12025550101@gw1.example.net>;unknownparam' }),
    becomes: 'handed',
  },
  {
    name: '3.3.13 cparam02',
    bytes: request('REGISTER', { Contact: '<sip:+12025550101@gw1.example.net;unknownparam>' }),
    becomes: 'handed',
  },
  {
    name: '3.3.14 regescrt',
    bytes: request('REGISTER', { Contact: '<sip:user@example.com?Route=%3Csip:sip.example.com%3E>' }),
    becomes: 'handed',
  },
  {
    name: '3.3.15 sdp01',
    bytes: request(
      'INVITE',
      { 'Content-Type': 'application/sdp', Accept: 'text/nobodyKnowsThis' },
      undefined,
      SDP,
    ),
    becomes: 'handed',
  },

  // 3.4: backward compatibility
  {
    name: '3.4.1 inv2543',
    bytes: request(
      'INVITE',
      {
        Via: `SIP/2.0/UDP ${HOST}:5070`,
        From: '<sip:+12025550102@example.net>',
        'Max-Forwards': undefined,
        'Content-Type': 'application/sdp',
      },
      undefined,
      SDP,
    ),
    becomes: 'handed',
  },
];
