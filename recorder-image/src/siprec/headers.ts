/**
 * The parties of a recording session without metadata, from the headers of its INVITE.
 *
 * Cisco's built-in bridge sends two such sessions for a call, one for each direction, and tells both parties in
 * parameters of the From URI: `x-nearend` or `x-farend` for the side that is heard, `x-refci` for the near side's
 * call leg, the same in both sessions.
 */
import { type Addresses, bareAor, shareAddress, telephoneNumber } from './aor.ts';
import { emptyMetadata, type MetadataParticipant, type RecordingMetadata } from './model.ts';

/** Values of the headers, as received. */
export interface PartyHeaders {
  from: string;
  to: string;
  pAssertedIdentity?: string;
  remotePartyId?: string;
}

/**
 * The caller (P-Asserted-Identity, Remote-Party-ID or From, in this order of trust) and, if it has a telephone number,
 * the party of the To header: in a recording session that header mostly names the recorder.
 * @returns a document of dialect `none`, with the warning `no-metadata`
 */
export function participantsFromHeaders(headers: PartyHeaders): RecordingMetadata {
  const from = readAddresses(headers.from)[0];
  const parameters = uriParameters(from?.uri ?? '');
  const participants = parameters.has('x-farendaddr')
    ? bridgeParticipants(from, parameters)
    : headerParticipants(headers, from);
  const callLeg = parameters.get('x-refci');
  return {
    ...emptyMetadata('none', [
      { code: 'no-metadata', detail: `${participants.length} parties from the SIP headers` },
    ]),
    participants,
    // The call leg's number is unique within a cluster of servers only; the device makes it ours.
    correlationIds: callLeg ? [`${callLeg}@${parameters.get('x-nearenddevice') ?? ''}`] : [],
  };
}

interface HeaderAddress {
  name?: string;
  uri: string;
}

function headerParticipants(headers: PartyHeaders, from: HeaderAddress | undefined): MetadataParticipant[] {
  const candidates = [
    readAddresses(headers.pAssertedIdentity ?? ''),
    readAddresses(headers.remotePartyId ?? ''),
    from ? [from] : [],
  ];
  const caller = toParticipant('from', candidates.find((addresses) => addresses.length > 0) ?? []);
  const called = toParticipant('to', readAddresses(headers.to).slice(0, 1));
  const isParty = called.number !== undefined && !shareAddress(called, caller);
  return [...(caller.aors.length > 0 ? [caller] : []), ...(isParty ? [called] : [])];
}

/** The side that is not heard here has a session of its own. */
function bridgeParticipants(
  from: HeaderAddress | undefined,
  parameters: ReadonlyMap<string, string>,
): MetadataParticipant[] {
  const near = parameters.get('x-nearendaddr');
  const sides = [
    { id: 'near-end', address: near ? { uri: near } : from, isHeard: !parameters.has('x-farend') },
    {
      id: 'far-end',
      address: { uri: parameters.get('x-farendaddr') ?? '' },
      isHeard: parameters.has('x-farend'),
    },
  ];
  return sides.map(({ id, address, isHeard }) => ({
    ...toParticipant(id, address ? [address] : []),
    ...(!isHeard && { sendsStreamIds: [] }),
  }));
}

function toParticipant(id: string, addresses: readonly HeaderAddress[]): MetadataParticipant & Addresses {
  const aors = addresses.map(({ uri }) => uri.replace(/;.*$/s, ''));
  const number = aors.map(telephoneNumber).find((candidate) => candidate !== undefined);
  const names = addresses.flatMap(({ name }) => name ?? []);
  return {
    id,
    aors: aors.filter((aor) => bareAor(aor) !== ''),
    names: [...new Set(names)],
    ...(number && { number }),
    joins: [],
    leaves: [],
  };
}

/** An element of a header by RFC 3261 section 25: a quoted or plain name and an address in angle brackets. */
const NAME_ADDRESS = /(?:"((?:[^"\\]|\\.){0,200})"|([^"<>,;]{0,200}))\s*<([^<>]{1,1000})>/gs;

/** Addresses of a header; several only in P-Asserted-Identity (a SIP and a tel URI of one user). */
function readAddresses(header: string): HeaderAddress[] {
  const value = header.slice(0, 4096).trim();
  if (value === '') return [];
  // Without angle brackets, parameters belong to the header (RFC 3261 section 20.10).
  if (!value.includes('<')) return [{ uri: value.replace(/;.*$/s, '') }];
  return [...value.matchAll(NAME_ADDRESS)].map(([, quoted, plain = '', uri = '']) => {
    const name = (quoted?.replace(/\\(.)/gs, '$1') ?? plain).trim();
    return { ...(name && { name }), uri: uri.trim() };
  });
}

const uriParameters = (uri: string): Map<string, string> =>
  new Map(
    uri
      .split(';')
      .slice(1)
      .map((parameter) => {
        const [name = '', value = ''] = parameter.split('=');
        return [name.trim().toLowerCase(), value.trim()];
      }),
  );
