/** From what the spool holds of a recording to its manifest. Pure. */
import { callIdentity } from '../../../core/call-identity.ts';
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestFile,
  type Participant,
  type RecordedStream,
  type RecordingStatus,
  type Warning,
} from '../../../core/manifest.ts';
import type { AssembledAudio, AssembledStream } from '../media/assemble.ts';
import type { MLine } from '../sdp/offer.ts';
import type { MetadataStream, RecordingMetadata } from '../siprec/model.ts';
import { mapParticipants } from '../siprec/parties.ts';
import {
  type ClosedStreamCounters,
  eventsOf,
  type SessionEventOf,
  type SessionRecord,
  STREAM_NOT_RECORDED,
} from './session-record.ts';

/** Owner of recordings whose SRC has none in the deployment file and names no service provider. */
const NO_TENANT = 'unassigned';

/** One journal of the recording. `codecs` are all that its m-line ever had. */
export interface RecordedJournal {
  journal: string;
  label: string;
  codecs: Map<number, 'PCMU' | 'PCMA'>;
}

/** A metadata document with the m-lines that were in force when it came. */
export interface ReceivedMetadata {
  at: string;
  metadata: RecordingMetadata;
  mLines: readonly MLine[];
}

export interface ManifestInput {
  record: SessionRecord;
  recorderVersion: string;
  documents: ReceivedMetadata[];
  journals: RecordedJournal[];
  /** In the order of `journals`. */
  streams: AssembledStream[];
  audio?: AssembledAudio & { file: string };
  files: ManifestFile[];
}

/** The journals of a session record, in the order in which their streams appeared: the channels of the audio. */
export function journalsOf(record: SessionRecord): RecordedJournal[] {
  const journals = new Map<string, RecordedJournal>();
  for (const { journal, label, codecs } of eventsOf(record, 'stream')) {
    const known = journals.get(journal) ?? { journal, label, codecs: new Map() };
    for (const [payloadType, codec] of Object.entries(codecs)) known.codecs.set(Number(payloadType), codec);
    journals.set(journal, known);
  }
  return [...journals.values()];
}

export function buildManifest(input: ManifestInput): Manifest {
  const { record, documents, audio } = input;
  const { opened } = record;
  const closed = eventsOf(record, 'closed').at(-1);
  const first = (documents.find(isReadable) ?? documents[0])?.metadata;
  const timeline = participantsOver(documents);
  const warnings = [...recordWarnings(record), ...documentWarnings(documents), ...timeline.warnings];
  const streams = input.journals.map((journal, i) =>
    toStream(journal, i, input.streams[i] as AssembledStream, closed?.counters[journal.journal]),
  );
  const lastHeard = Math.max(...input.streams.map(({ lastPacketAt = 0 }) => lastPacketAt));
  const startedAt = eventsOf(record, 'answered')[0]?.at ?? opened.at;
  const endedAt = closed?.at ?? new Date(Math.max(lastHeard, Date.parse(startedAt))).toISOString();
  return {
    manifestVersion: MANIFEST_VERSION,
    recordingId: opened.recordingId,
    revision: 1,
    tenant: opened.tenant ?? first?.broadWorks?.serviceProviderId ?? NO_TENANT,
    homeRegion: opened.homeRegion,
    slot: opened.slot,
    recorderVersion: input.recorderVersion,
    ...statusOf(input, closed),
    startedAt,
    endedAt,
    session: {
      sipCallId: opened.sipCallId,
      source: opened.source,
      sourceAddress: opened.sourceAddress,
      endedBy: closed?.endedBy ?? 'crash',
    },
    call: identityOf(opened, documents),
    direction: first?.direction ?? 'unknown',
    metadataDialect: first?.dialect ?? 'none',
    participants: timeline.participants,
    broadWorks: first?.broadWorks,
    audio: audio && {
      file: audio.file,
      startedAt: new Date(audio.startedAtMs).toISOString(),
      durationMs: audio.durationMs,
      sampleRate: audio.sampleRate,
      channels: audio.channels,
      encoding: audio.encoding,
    },
    streams,
    warnings,
    files: input.files,
  };
}

function toStream(
  { label, codecs }: RecordedJournal,
  channel: number,
  stream: AssembledStream,
  counters: ClosedStreamCounters | undefined,
): RecordedStream {
  const payloadType = stream.payloadTypes.find((type) => codecs.has(type)) ?? [...codecs.keys()][0] ?? 0;
  return {
    label,
    channel,
    codec: codecs.get(payloadType) ?? 'none',
    payloadType,
    ssrcs: stream.ssrcs,
    packets: stream.packets,
    lostPackets: stream.lostPackets,
    duplicatePackets: stream.duplicatePackets,
    foreignPackets: counters?.foreignPackets ?? 0,
    firstPacketAt: isoTime(stream.firstPacketAt),
    lastPacketAt: isoTime(stream.lastPacketAt),
    gaps: stream.gaps,
  };
}

const isoTime = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** `complete` is only said when it is true: each thing that is missing, or may be, is a reason against it. */
function statusOf(
  { record, journals, streams }: ManifestInput,
  closed: SessionEventOf<'closed'> | undefined,
): { status: RecordingStatus; statusReasons: string[] } {
  const reasons: string[] = [];
  if (!closed)
    reasons.push(
      'the end of the recording was not written down (the recorder died, or its disk failed): the last second may be missing',
    );
  if (closed?.endedBy === 'recorder') reasons.push('the recorder ended the recording before the call');
  if (closed?.endedBy === 'sip-server-lost') reasons.push('the end of the call was not signalled');
  if (record.unreadableLines > 0)
    reasons.push(`${record.unreadableLines} unreadable lines in the session record`);
  if (journals.length === 0) reasons.push('no stream was opened');
  for (const { code, detail } of eventsOf(record, 'warning'))
    if (code === STREAM_NOT_RECORDED) reasons.push(`not recorded: ${detail}`);
  journals.forEach(({ journal, label }, i) => {
    const stream = streams[i] as AssembledStream;
    const { writeError } = closed?.counters[journal] ?? {};
    if (stream.packets === 0) reasons.push(`no RTP on stream ${label}`);
    if (stream.lostPackets > 0) reasons.push(`${stream.lostPackets} packets lost on stream ${label}`);
    if (stream.truncatedJournal) reasons.push(`the journal of stream ${label} is cut off`);
    if (writeError) reasons.push(`stream ${label} could not be written to its end: ${writeError}`);
  });
  if (!closed) return { status: 'recovered', statusReasons: reasons };
  return { status: reasons.length > 0 ? 'partial' : 'complete', statusReasons: reasons };
}

/** The first document identifies the call; ids that later ones bring (a redirection) join it to others. */
function identityOf(opened: SessionRecord['opened'], documents: ReceivedMetadata[]): Manifest['call'] {
  const identities = (documents.length > 0 ? documents : [undefined]).map((document) =>
    callIdentity({
      broadWorks: document?.metadata.broadWorks,
      correlationHeader: opened.correlationHeader,
      groupIds: document?.metadata.groups.map(({ id }) => id),
      sessionIds: document?.metadata.sessions.map(({ id }) => id),
      sipCallId: opened.sipCallId,
    }),
  );
  return {
    callId: identities[0]?.callId ?? opened.sipCallId,
    correlationIds: [...new Set(identities.flatMap(({ correlationIds }) => correlationIds))],
  };
}

/**
 * Everyone who was ever in the session. Each document tells who is there now; whoever a complete one no longer names,
 * or a partial one names without a stream, has left. BroadWorks renews all ids on a transfer, so that
 * people are told apart by address.
 */
function participantsOver(documents: ReceivedMetadata[]): {
  participants: Participant[];
  warnings: Warning[];
} {
  const present = new Map<string, Participant>();
  const warnings: Warning[] = [];
  let streams: MetadataStream[] = [];
  for (const { at, metadata, mLines } of documents.filter(isReadable)) {
    // A partial document may name streams that an earlier one has described (RFC 7865 section 8.2).
    const known = metadata.dataMode === 'partial' ? streams : [];
    streams = [...new Map([...known, ...metadata.streams].map((stream) => [stream.id, stream])).values()];
    const { participants, warnings: found } = mapParticipants({ ...metadata, streams }, mLines);
    warnings.push(...found.map((warning) => ({ ...warning, at })));
    const named = new Set<string>();
    for (const participant of participants) {
      const who = participant.aors[0] ?? participant.id;
      const before = present.get(who);
      const left = metadata.dataMode === 'partial' && participant.streamLabels.length === 0;
      named.add(who);
      present.set(who, {
        ...participant,
        streamLabels: left && before ? before.streamLabels : participant.streamLabels,
        joinedAt: before?.joinedAt ?? participant.joinedAt ?? at,
        leftAt: participant.leftAt ?? (left ? at : undefined),
      });
    }
    if (metadata.dataMode === 'complete')
      for (const [who, participant] of present) if (!named.has(who)) participant.leftAt ??= at;
  }
  return { participants: [...present.values()], warnings };
}

/** What holds nothing does not tell that everybody has left. */
const isReadable = ({ metadata }: ReceivedMetadata): boolean =>
  metadata.participants.length > 0 || metadata.streams.length > 0;

const recordWarnings = (record: SessionRecord): Warning[] =>
  eventsOf(record, 'warning').map(({ at, code, detail }) => ({ at, code, detail }));

const documentWarnings = (documents: ReceivedMetadata[]): Warning[] =>
  documents.flatMap(({ at, metadata }) => metadata.warnings.map((warning) => ({ ...warning, at })));
