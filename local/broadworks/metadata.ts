/** Recording metadata in the two dialects that a recorder of BroadWorks calls meets. */
import type { MediaStream, SimulatedCall } from './call.ts';

type Speaker = MediaStream['speakers'][number];
const SPEAKERS: Speaker[] = ['recordedUser', 'other'];

const urn = (uuid: string): string => `urn:uuid:${uuid}`;

/** RFC 7865 section 6.10: ids are base64 of the 16 bytes. */
const base64Id = (uuid: string): string => Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64');

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ESCAPES[character] as string);

const streamsSentBy = (call: SimulatedCall, speaker: Speaker): MediaStream[] =>
  call.streams.filter(({ speakers }) => speakers.includes(speaker));

/** BroadWorks' dialect: pre-RFC elements, ids as URNs, its own extension in schema version 3.0. */
export function broadworksMetadata(call: SimulatedCall): string {
  const { uuids } = call;
  const participants = SPEAKERS.map(
    (speaker) =>
      `<participant id="${urn(uuids[speaker])}" session="${urn(uuids.session)}">` +
      `<aor>${escapeXml(call[speaker].aor)}</aor>` +
      streamsSentBy(call, speaker)
        .map(({ uuid }) => `<send><id>${urn(uuid)}</id></send>`)
        .join('') +
      '</participant>',
  );
  const streams = call.streams.map(
    ({ uuid, label, speakers }) =>
      `<stream id="${urn(uuid)}" session="${urn(uuids.session)}"><label>${label}</label>` +
      `<mode>${speakers.length > 1 ? 'mixed' : 'separate'}</mode></stream>`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec">',
    '<dataMode>complete</dataMode>',
    `<recording id="${urn(uuids.recording)}"><requestor>SRC</requestor><type>selective</type></recording>`,
    `<group id="${urn(uuids.group)}" recording="${urn(uuids.recording)}">` +
      `<initiator>${escapeXml(caller(call).aor)}</initiator></group>`,
    `<session id="${urn(uuids.session)}" group="${urn(uuids.group)}">` +
      `<start-time>${call.startedAt.toISOString()}</start-time></session>`,
    ...participants,
    ...streams,
    `<extensiondata id="${urn(uuids.extension)}" parent="${urn(uuids.session)}">`,
    broadworksExtension(call),
    '</extensiondata>',
    '</recording_metadata>',
    '',
  ].join('\r\n');
}

function caller(call: SimulatedCall): SimulatedCall['other'] {
  return call.direction === 'outgoing' ? call.recordedUser : call.other;
}

function broadworksExtension(call: SimulatedCall): string {
  const called = call.direction === 'outgoing' ? call.other : call.recordedUser;
  const numbers =
    `<callingPartyNumber>${caller(call).number}</callingPartyNumber>` +
    `<calledPartyNumber>${called.number}</calledPartyNumber>`;
  const callType =
    call.direction === 'outgoing'
      ? `<origCall>${numbers}<dialedDigits>${called.number.slice(2)}</dialedDigits></origCall>`
      : `<termCall>${numbers}</termCall>`;
  return [
    '<broadWorksRecordingMetadata xmlns="http://schema.broadsoft.com/broadworksCallRecording" version="3.0">',
    `<extTrackingID>${call.extTrackingId}</extTrackingID>`,
    `<serviceProviderID>${escapeXml(call.serviceProviderId)}</serviceProviderID>`,
    `<groupID>${escapeXml(call.groupId)}</groupID>`,
    `<userID>${escapeXml(call.recordedUser.aor.slice('sip:'.length).replace(/;.*/, ''))}</userID>`,
    `<callID>callhalf-${call.sdpSessionId}:${call.direction === 'outgoing' ? 0 : 1}</callID>`,
    `<callType>${callType}</callType>`,
    '<recordingType>on</recordingType>',
    '</broadWorksRecordingMetadata>',
  ].join('\r\n');
}

/** RFC 7865: associations instead of nesting, base64 ids; no vendor extension. */
export function rfc7865Metadata(call: SimulatedCall): string {
  const { uuids } = call;
  const session = base64Id(uuids.session);
  const time = call.startedAt.toISOString();
  const associateTime = `<associate-time>${time}</associate-time>`;
  const streamAssociations = SPEAKERS.map((speaker) => {
    const sent = streamsSentBy(call, speaker);
    const received = call.streams.filter((stream) => !sent.includes(stream));
    return (
      `<participantstreamassoc participant_id="${base64Id(uuids[speaker])}">` +
      sent.map(({ uuid }) => `<send>${base64Id(uuid)}</send>`).join('') +
      received.map(({ uuid }) => `<recv>${base64Id(uuid)}</recv>`).join('') +
      `${associateTime}</participantstreamassoc>`
    );
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<recording xmlns="urn:ietf:params:xml:ns:recording:1">',
    '<datamode>complete</datamode>',
    `<group group_id="${base64Id(uuids.group)}">${associateTime}</group>`,
    `<session session_id="${session}"><group-ref>${base64Id(uuids.group)}</group-ref>` +
      `<start-time>${time}</start-time></session>`,
    ...SPEAKERS.map(
      (speaker) =>
        `<participant participant_id="${base64Id(uuids[speaker])}"><nameID aor="${escapeXml(call[speaker].aor)}">` +
        `<name xml:lang="en">${escapeXml(call[speaker].displayName)}</name></nameID></participant>`,
    ),
    ...call.streams.map(
      ({ uuid, label }) =>
        `<stream stream_id="${base64Id(uuid)}" session_id="${session}"><label>${label}</label></stream>`,
    ),
    `<sessionrecordingassoc session_id="${session}">${associateTime}</sessionrecordingassoc>`,
    ...SPEAKERS.map(
      (speaker) =>
        `<participantsessionassoc participant_id="${base64Id(uuids[speaker])}" session_id="${session}">` +
        `${associateTime}</participantsessionassoc>`,
    ),
    ...streamAssociations,
    '</recording>',
    '',
  ].join('\r\n');
}
