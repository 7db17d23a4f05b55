/** From what the spool holds of a recording to its manifest. Pure. */
import { callIdentity } from '../../../core/call-identity.ts';
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestFile,
  type RecordedStream,
  type RecordingStatus,
  type Warning,
} from '../../../core/manifest.ts';
import type { AssembledAudio, AssembledStream } from '../media/assemble.ts';
import type { CodecName } from '../sdp/codecs.ts';
import { callFactsOf } from '../siprec/identity.ts';
import type { RecordingMetadata } from '../siprec/model.ts';
import { type SessionMessage, type Story, type StreamStory, tellStory } from '../siprec/timeline.ts';
import {
  type ClosedStreamCounters,
  type Ending,
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
  mLine: number;
  label: string;
  codecs: Map<number, CodecName>;
  telephoneEvents: Map<number, number>;
  /** The journal is in clear, whatever the stream came under. */
  decrypted: boolean;
}

export interface ManifestInput {
  record: SessionRecord;
  recorderVersion: string;
  /** In the order of their arrival. */
  messages: SessionMessage[];
  journals: RecordedJournal[];
  /** In the order of `journals`. */
  streams: AssembledStream[];
  audio?: AssembledAudio & { file: string };
  files: ManifestFile[];
}

/** The journals of a session record, in the order in which their streams appeared: the channels of the audio. */
export function journalsOf(record: SessionRecord): RecordedJournal[] {
  const journals = new Map<string, RecordedJournal>();
  for (const { journal, mLine, label, codecs, telephoneEvents = {}, decrypted = false } of eventsOf(
    record,
    'stream',
  )) {
    const known = journals.get(journal) ?? {
      journal,
      mLine,
      label,
      codecs: new Map(),
      telephoneEvents: new Map(),
      decrypted,
    };
    for (const [type, codec] of Object.entries(codecs)) known.codecs.set(Number(type), codec);
    for (const [type, clockRate] of Object.entries(telephoneEvents))
      known.telephoneEvents.set(Number(type), clockRate);
    journals.set(journal, known);
  }
  return [...journals.values()];
}

export function buildManifest(input: ManifestInput): Manifest {
  const { record, messages, audio } = input;
  const { opened } = record;
  const closed = eventsOf(record, 'closed').at(-1);
  const documents = messages.flatMap(({ metadata }) => metadata ?? []);
  const first = documents.find(saysAnything) ?? documents[0];
  const story = tellStory(messages);
  const streams = input.journals.map((journal, i) => ({
    ...toStream(journal, i, input.streams[i] as AssembledStream, closed?.counters[journal.journal]),
    carried: storyOf(journal, input.journals, story)?.carried,
  }));
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
    participants: story.participants,
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
    holds: story.holds,
    transfers: story.transfers,
    warnings: [...recordWarnings(record), ...story.warnings],
    files: input.files,
  };
}

/** The n-th stream of an m-line is the n-th of that m-line in the story; labels may repeat after a removal. */
function storyOf(
  journal: RecordedJournal,
  journals: RecordedJournal[],
  { streams }: Story,
): StreamStory | undefined {
  const ofMLine = <Row extends { mLine: number }>(rows: readonly Row[]): Row[] =>
    rows.filter(({ mLine }) => mLine === journal.mLine);
  return ofMLine(streams)[ofMLine(journals).indexOf(journal)];
}

/** A document that could not be read, or the guess from SIP headers, says less than any other. */
const saysAnything = ({ dialect, participants, streams }: RecordingMetadata): boolean =>
  dialect !== 'none' && (participants.length > 0 || streams.length > 0);

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
    unauthenticPackets: stream.unauthenticPackets,
    firstPacketAt: isoTime(stream.firstPacketAt),
    lastPacketAt: isoTime(stream.lastPacketAt),
    gaps: stream.gaps,
    dtmf: stream.dtmf,
  };
}

const isoTime = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** Why an ending other than the SRC's BYE makes a recording partial. */
const ENDING_REASONS: Partial<Record<Ending, string>> = {
  recorder: 'the recorder ended the recording before the call',
  'sip-server-lost': 'the end of the call was not signalled',
  silence: 'the end of the call was not signalled: no RTP came any more',
  ceiling: 'the recorder ended the recording at the longest time that one may take',
  'disk-full': 'the recorder ended the recording because its disk was full',
  crash: 'the end of the call was not signalled: the dialog was lost with the recorder that died',
};

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
  const ending = closed && ENDING_REASONS[closed.endedBy];
  if (ending) reasons.push(ending);
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
    if (stream.unauthenticPackets > 0)
      reasons.push(`${stream.unauthenticPackets} packets on stream ${label} fit none of the keys`);
    if (stream.undecoded) reasons.push(`stream ${label} is not all in the audio: ${stream.undecoded}`);
    if (stream.truncatedJournal) reasons.push(`the journal of stream ${label} is cut off`);
    if (writeError) reasons.push(`stream ${label} could not be written to its end: ${writeError}`);
  });
  if (!closed) return { status: 'recovered', statusReasons: reasons };
  return { status: reasons.length > 0 ? 'partial' : 'complete', statusReasons: reasons };
}

/** The first document identifies the call; ids that later ones bring (a redirection) join it to others. */
function identityOf(opened: SessionRecord['opened'], documents: RecordingMetadata[]): Manifest['call'] {
  const { correlationHeader, sipCallId } = opened;
  const identify = (metadata?: RecordingMetadata) =>
    callIdentity({ ...(metadata && callFactsOf(metadata)), correlationHeader, sipCallId });
  const first = identify(documents[0]);
  return {
    ...first,
    correlationIds: [
      ...new Set([first, ...documents.map(identify)].flatMap(({ correlationIds }) => correlationIds)),
    ],
  };
}

const recordWarnings = (record: SessionRecord): Warning[] =>
  eventsOf(record, 'warning').map(({ at, code, detail }) => ({ at, code, detail }));
