/** The SIP requests of BroadWorks as a recording client, and of a client that follows RFC 7866 to the letter. */
import { type Header, makeRequest, type SipRequest } from '../sip/message.ts';
import type { Protocol } from '../sip/transport.ts';
import type { Shape, SimulatedCall } from './call.ts';
import { broadworksMetadata, rfc7865Metadata } from './metadata.ts';

const BOUNDARY = 'UniqueBroadWorksBoundary';
const METHODS = 'ACK,BYE,CANCEL,INFO,INVITE,OPTIONS,PRACK,REFER,NOTIFY';

export interface LocalContact {
  address: string;
  port: number;
  transport: Protocol;
}

/** The Contact that marks a recording client: BroadWorks' own way, or the feature tag of RFC 7866 section 6.1.1. */
export function contact(
  call: SimulatedCall,
  shape: Shape,
  { address, port, transport }: LocalContact,
): Header {
  const uri = `<sip:${call.recordedUser.number}@${address}:${port};transport=${transport}>`;
  return ['Contact', `${uri};${shape === 'broadworks' ? 'src' : '+sip.src'}`];
}

/** Everything of the INVITE but its Via, so that each attempt is the same request in a new transaction. */
export function makeInvite(
  call: SimulatedCall,
  shape: Shape,
  platform: { domain: string; port?: number },
  local: LocalContact,
  sdp: string,
): SipRequest {
  const uri = `sip:${platform.domain}${platform.port === undefined ? '' : `:${platform.port}`}`;
  const user = `sip:${call.recordedUser.number}@${local.address}`;
  const common: Header[] = [
    ['Max-Forwards', '69'],
    ['From', `"${call.recordedUser.displayName}"<${user};user=phone>;tag=${call.fromTag}`],
    ['To', `<${uri}>`],
    ['Call-ID', call.sipCallId],
    ['CSeq', `${call.firstCSeq} INVITE`],
    contact(call, shape, local),
  ];
  const { headers, body } = SHAPES[shape](call, sdp);
  return makeRequest('INVITE', uri, [...common, ...headers], body);
}

const SHAPES: Record<Shape, (call: SimulatedCall, sdp: string) => { headers: Header[]; body: string }> = {
  broadworks: (call, sdp) => ({
    headers: [
      ['Privacy', 'none'],
      ['Recv-Info', ''],
      ['Supported', ''],
      ['Accept', 'application/media_control+xml,application/sdp,application/x-broadworks-call-center+xml'],
      ['Allow', METHODS],
      ['X-BroadWorks-Correlation-Info', call.extTrackingId],
      ['Content-Type', `multipart/mixed;boundary=${BOUNDARY}`],
    ],
    // No blank after the colon, and a length in each part: as BroadWorks writes them.
    body: multipart(
      {
        headers: 'Content-Type:application/rs-metadata+xml\r\nContent-Disposition:recording-session',
        content: broadworksMetadata(call),
        withLength: true,
      },
      { headers: 'Content-Type:application/sdp', content: sdp, withLength: true },
    ),
  }),
  rfc7866: (call, sdp) => ({
    headers: [
      ['Require', 'siprec'],
      ['Accept', 'application/sdp, application/rs-metadata+xml'],
      ['Allow', `${METHODS},UPDATE`],
      ['Content-Type', `multipart/mixed;boundary=${BOUNDARY}`],
    ],
    body: multipart(
      { headers: 'Content-Type: application/sdp', content: sdp, withLength: false },
      {
        headers: 'Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session',
        content: rfc7865Metadata(call),
        withLength: false,
      },
    ),
  }),
};

interface Part {
  headers: string;
  content: string;
  withLength: boolean;
}

function multipart(...parts: Part[]): string {
  const written = parts.map(({ headers, content, withLength }) => {
    const length = withLength ? `\r\nContent-Length:${Buffer.byteLength(content)}` : '';
    return `--${BOUNDARY}\r\n${headers}${length}\r\n\r\n${content}\r\n`;
  });
  return `${written.join('')}--${BOUNDARY}--\r\n`;
}

/** Headers of a re-INVITE that carries SDP alone (pause, resume, codec change). */
export function sdpReinviteHeaders(call: SimulatedCall, shape: Shape, local: LocalContact): Header[] {
  return [contact(call, shape, local), ['Content-Type', 'application/sdp']];
}
