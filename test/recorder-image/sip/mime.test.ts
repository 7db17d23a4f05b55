import { type Body, readBody } from '../../../recorder-image/src/sip/mime.ts';
import { metadataFixture, sdpFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';

const SDP = sdpFixture('broadworks-dual');
const XML = metadataFixture('broadworks-dual-origcall').toString();

interface Shape {
  contentType?: string;
  body: string;
  contentLength?: number | undefined;
  headers?: string[];
}

/** An INVITE around a body; Content-Length is right unless given. */
function invite({ contentType, body, headers = [], ...rest }: Shape): Buffer {
  const length = 'contentLength' in rest ? rest.contentLength : Buffer.byteLength(body);
  return Buffer.from(
    [
      'INVITE sip:192.0.2.10:5060 SIP/2.0',
      'Via: SIP/2.0/TCP 192.0.2.20:5060;branch=z9hG4bK1',
      'Supported:',
      ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
      ...headers,
      ...(length === undefined ? [] : [`Content-Length: ${length}`]),
      '',
      body,
    ].join('\r\n'),
  );
}

interface Piece {
  head?: string[];
  content: string;
}

const sdpPiece: Piece = { head: ['Content-Type: application/sdp'], content: SDP };
const xmlPiece: Piece = {
  head: ['Content-Type: application/rs-metadata+xml', 'Content-Disposition: recording-session'],
  content: XML,
};

const multipart = (pieces: Piece[], boundary = 'bb', close = true): string =>
  pieces
    .map(
      ({ head = [], content }) =>
        `--${boundary}\r\n${head.map((line) => `${line}\r\n`).join('')}\r\n${content}\r\n`,
    )
    .join('') + (close ? `--${boundary}--\r\n` : '');

const standard = multipart([sdpPiece, xmlPiece]);

const contents = ({ parts }: Body) =>
  parts.map(({ contentType, content }) => [contentType, content.toString()]);
const codes = ({ warnings }: Body) => warnings.map(({ code }) => code);

const BOTH = [
  ['application/sdp', SDP],
  ['application/rs-metadata+xml', XML],
];

describe('readBody, the shapes that drachtio-srf misreads', () => {
  const rows: [string, Shape][] = [
    [
      'BroadWorks: no blank after the colon, metadata first, part lengths',
      {
        contentType: 'multipart/mixed;boundary=bb',
        body: `\r\n${multipart([
          {
            head: [
              'Content-Type:application/rs-metadata+xml',
              'Content-Disposition:recording-session',
              `Content-Length:${Buffer.byteLength(XML)}`,
            ],
            content: XML,
          },
          { head: ['Content-Type:application/sdp', `Content-Length:${SDP.length}`], content: SDP },
        ])}`,
      },
    ],
    [
      'CUBE: trailing blanks after delimiters and types',
      {
        contentType: 'multipart/mixed; boundary=bb ',
        body: standard.replaceAll('--bb\r', '--bb  \t\r').replace('application/sdp', 'application/sdp '),
      },
    ],
    ['quoted boundary', { contentType: 'multipart/mixed; boundary="bb"', body: standard }],
    ['a further parameter', { contentType: 'multipart/mixed;boundary=bb; charset=utf-8', body: standard }],
    [
      'a parameter before the boundary',
      { contentType: 'multipart/mixed; a="x;boundary=cc"; Boundary = bb', body: standard },
    ],
    ['compact form', { body: standard, headers: ['c: multipart/mixed;boundary=bb'] }],
    ['folded header', { contentType: 'multipart/mixed;\r\n boundary=bb', body: standard }],
    [
      'part headers in lower case',
      {
        contentType: 'multipart/mixed;boundary=bb',
        body: standard.replaceAll('Content-Type', 'content-type').replace('Content-D', 'content-d'),
      },
    ],
    [
      'a parameter on the type of a part',
      {
        contentType: 'multipart/mixed;boundary=bb',
        body: standard.replace('rs-metadata+xml', 'rs-metadata+xml;charset=UTF-8'),
      },
    ],
    [
      'preamble and epilogue',
      { contentType: 'multipart/mixed;boundary=bb', body: `This is MIME.\r\n${standard}--x\r\nbye` },
    ],
    ['capitals', { contentType: 'Multipart/Mixed;Boundary=bb', body: standard }],
    [
      'no Content-Length',
      { contentType: 'multipart/mixed;boundary=bb', body: standard, contentLength: undefined },
    ],
  ];
  it.each(rows)('%s', (_, shape) => {
    const body = readBody(invite(shape));
    expect(contents(body).sort()).toEqual([...BOTH].sort());
    expect(body.warnings).toEqual([]);
  });

  it('blank lines inside the XML and the SDP', () => {
    const sdp = SDP.replace('t=0 0\r\n', 't=0 0\r\n\r\n');
    const xml = XML.replace('<group', '\r\n\r\n<group');
    const body = readBody(
      invite({
        contentType: 'multipart/mixed;boundary=bb',
        body: multipart([
          { ...sdpPiece, content: sdp },
          { ...xmlPiece, content: xml },
        ]),
      }),
    );
    expect(contents(body)).toEqual([
      ['application/sdp', sdp],
      ['application/rs-metadata+xml', xml],
    ]);
  });

  it('bare LF throughout, headers included', () => {
    const raw = invite({
      contentType: 'multipart/mixed;boundary=bb',
      body: standard,
      contentLength: undefined,
    });
    const body = readBody(Buffer.from(raw.toString().replaceAll('\r\n', '\n')));
    expect(contents(body)).toEqual([
      ['application/sdp', SDP.replaceAll('\r\n', '\n')],
      ['application/rs-metadata+xml', XML],
    ]);
  });

  it('no closing delimiter (Sonus)', () => {
    const open = multipart([sdpPiece, xmlPiece], 'bb', false);
    const body = readBody(invite({ contentType: 'multipart/mixed;boundary=bb', body: open }));
    expect(contents(body)).toEqual([BOTH[0], ['application/rs-metadata+xml', `${XML}\r\n`]]);
    expect(codes(body)).toEqual(['no-close-delimiter']);
  });
});

describe('readBody', () => {
  it('gives the headers, parameters and disposition of a part', () => {
    const [part] = readBody(
      invite({
        contentType: 'multipart/mixed;boundary=bb',
        body: multipart([
          {
            head: [
              'Content-Type: application/GTD;Version="1;2"',
              'Content-Disposition: Signal ;handling=Optional',
            ],
            content: 'x',
          },
        ]),
      }),
    ).parts;
    expect(part?.contentType).toBe('application/gtd');
    expect(part?.parameters.get('version')).toBe('1;2');
    expect(part?.disposition).toEqual({ type: 'signal', handling: 'optional' });
    expect(part?.headers.get('content-disposition')).toBe('Signal ;handling=Optional');
  });

  it('reads a bare body with the disposition of the message', () => {
    const body = readBody(
      invite({
        contentType: 'application/rs-metadata+xml',
        headers: ['Content-Disposition: recording-session'],
        body: XML,
      }).toString(),
    );
    expect(contents(body)).toEqual([BOTH[1]]);
    expect(body.parts[0]?.disposition).toEqual({ type: 'recording-session' });
    expect(body.warnings).toEqual([]);
  });

  it('reads a message without a body', () => {
    expect(readBody(invite({ body: '' }))).toEqual({ parts: [], warnings: [] });
    expect(readBody('')).toEqual({ parts: [], warnings: [] });
  });

  it('flattens a multipart inside a multipart', () => {
    const inner = multipart([sdpPiece, { head: ['Content-Type: text/plain'], content: 'x' }], 'bb-inner');
    const body = readBody(
      invite({
        contentType: 'multipart/mixed;boundary=bb',
        body: multipart([
          { head: ['Content-Type: multipart/alternative;boundary=bb-inner'], content: inner },
          xmlPiece,
        ]),
      }),
    );
    expect(contents(body)).toEqual([BOTH[0], ['text/plain', 'x'], BOTH[1]]);
  });

  it('reads an empty part and a part without headers', () => {
    const body = readBody(
      invite({
        contentType: 'multipart/mixed;boundary=bb',
        body: `--bb\r\n--bb\r\n\r\n${SDP}\r\n--bb\r\n${XML}\r\n--bb--`,
      }),
    );
    expect(contents(body)).toEqual([['text/plain', ''], ...BOTH]);
    expect(codes(body)).toEqual(['content-type-guessed', 'content-type-guessed', 'content-type-guessed']);
  });

  it.each([
    ['wrong', 'multipart/mixed;boundary=other'],
    ['absent', 'multipart/mixed'],
  ])('guesses the boundary when it is %s', (_, contentType) => {
    const body = readBody(invite({ contentType, body: standard }));
    expect(contents(body)).toEqual(BOTH);
    expect(codes(body)).toEqual(['boundary-guessed']);
  });

  it('reads a body that only claims to be multipart', () => {
    const body = readBody(invite({ contentType: 'multipart/mixed;boundary=bb', body: SDP }));
    expect(contents(body)).toEqual([BOTH[0]]);
    expect(codes(body)).toEqual(['no-boundary', 'content-type-guessed']);
  });

  it('guesses the type of a body without one', () => {
    expect(contents(readBody(invite({ body: SDP })))).toEqual([BOTH[0]]);
    expect(contents(readBody(invite({ body: standard })))).toEqual(BOTH);
  });

  it.each([
    ['too short', 449, 'content-length-mismatch'],
    ['too long', 9999, 'body-truncated'],
  ])('takes what is there when Content-Length is %s', (_, contentLength, code) => {
    const body = readBody(
      invite({ contentType: 'multipart/mixed;boundary=bb', body: standard, contentLength }),
    );
    expect(contents(body)).toEqual(BOTH);
    expect(codes(body)).toEqual([code]);
  });

  it('warns when the length of a part is wrong', () => {
    const body = readBody(
      invite({
        contentType: 'multipart/mixed;boundary=bb',
        body: multipart([{ head: ['Content-Type: application/sdp', 'Content-Length: 12'], content: SDP }]),
      }),
    );
    expect(contents(body)).toEqual([BOTH[0]]);
    expect(codes(body)).toEqual(['part-length-mismatch']);
  });

  it('keeps bytes above 127 as they came', () => {
    const content = Buffer.from([0xc3, 0xa9, 0xff, 0x00]);
    const raw = Buffer.concat([
      invite({ contentType: 'multipart/mixed;boundary=bb', body: '', contentLength: undefined }),
      Buffer.from('--bb\r\nContent-Type: text/plain\r\n\r\n'),
      content,
      Buffer.from('\r\n--bb--'),
    ]);
    expect(readBody(raw).parts[0]?.content).toEqual(content);
  });

  it('stops at the limits of size, number and depth', () => {
    const large = readBody(invite({ contentType: 'text/plain', body: 'x'.repeat(70_000) }));
    expect(large.parts[0]?.content.length).toBe(65_536);
    expect(codes(large)).toEqual(['body-too-large']);

    const many = readBody(
      invite({ contentType: 'multipart/mixed;boundary=bb', body: multipart(Array(40).fill(sdpPiece)) }),
    );
    expect(many.parts.length).toBe(16);
    expect(codes(many)).toEqual(['too-many-parts']);

    let nested = sdpPiece;
    for (let level = 0; level < 5; level += 1)
      nested = {
        head: [`Content-Type: multipart/mixed;boundary=level${level}`],
        content: multipart([nested, xmlPiece], `level${level}`),
      };
    const deep = readBody(invite({ contentType: 'multipart/mixed;boundary=bb', body: multipart([nested]) }));
    expect(codes(deep)).toEqual(['body-too-deep']);
    expect(contents(deep)).toEqual([BOTH[1], BOTH[1], BOTH[1]]);
  });

  it.each([
    ['delimiters', '--bb\r\n'],
    ['dashes', '-'],
    ['header lines', 'a: b\r\n'],
    ['folded lines', ' x\r\n'],
    ['parameters', ';a="'],
    ['line feeds', '\n'],
  ])('takes little time for 60 kB of %s', (_, unit) => {
    const filler = unit.repeat(60_000 / unit.length);
    const before = process.threadCpuUsage(); // of others' work nothing counts
    readBody(invite({ contentType: 'multipart/mixed;boundary=bb', body: `--bb\r\n${filler}` }));
    readBody(invite({ contentType: `multipart/mixed${filler}`, body: standard }));
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(500);
  });

  it('never throws, whatever the damage', () => {
    const seeds = [
      invite({ contentType: 'multipart/mixed;boundary=bb', body: standard }),
      invite({ contentType: 'application/sdp', body: SDP }),
      invite({
        contentType: 'multipart/mixed;boundary="bb"',
        body: multipart([
          { head: ['Content-Type: multipart/mixed;boundary=cc'], content: multipart([sdpPiece], 'cc') },
        ]),
      }),
    ];
    let count = 0;
    for (const input of mutations(seeds, 1)) {
      const { parts } = readBody(input);
      expect(parts.length).toBeLessThanOrEqual(16);
      count += 1;
      if (count === 5000) break;
    }
  });
});
