/** From what the spool holds of a recording to its manifest. Pure. */
import { callIdentity } from '../../../core/call-identity.ts';
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestFile,
  type RecordedStream,
  type Warning,
} from '../../../core/manifest.ts';
import type { AssembledAudio, AssembledStream } from '../media/assemble.ts';
import type { CodecName } from '../sdp/codecs.ts';
import { callFactsOf } from '../siprec/identity.ts';
import type { RecordingMetadata } from '../siprec/model.ts';
import { type SessionMessage, type Story, type StreamStory, tellStory } from '../siprec/timeline.ts';
import { droppedPackets, explainGaps } from './gap-causes.ts';
import { type ClosedStreamCounters, eventsOf, type SessionRecord, startOf } from './session-record.ts';
import { statusOf } from './status.ts';

/** Owner of recordings whose SRC has none in the deployment file and names no service provider. */
const NO_TENANT = 'unassigned';

/** One journal of the recording. `codecs` are all that its m-line ever had. */
export interface RecordedJournal {
  journal: string;
  mLine: number;
  label: string;
  /** When it was begun, milliseconds since the epoch. */
  openedAtMs: number;
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
  for (const event of eventsOf(record, 'stream')) {
    const { at, journal, mLine, label, codecs, telephoneEvents = {}, decrypted = false } = event;
    const known = journals.get(journal) ?? {
      journal,
      mLine,
      label,
      openedAtMs: Date.parse(at),
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
  const lastHeard = Math.max(...input.streams.map(({ lastPacketAt = 0 }) => lastPacketAt));
  const startedAt = startOf(record) ?? opened.at;
  const endedAt = closed?.at ?? new Date(Math.max(lastHeard, Date.parse(startedAt))).toISOString();
  const outcomes = input.journals.map((journal, channel) => {
    const assembled = input.streams[channel] as AssembledStream;
    const counters = closed?.counters[journal.journal];
    const told = storyOf(journal, input.journals, story);
    const gaps = explainGaps(assembled.gaps, audio?.startedAtMs ?? 0, Date.parse(endedAt), {
      drops: counters?.drops ?? [],
      holds: told?.holds ?? [],
    });
    const stream = { ...toStream(journal, channel, assembled, counters), gaps, carried: told?.carried };
    return { journal: journal.journal, stream, assembled, counters };
  });
  return {
    manifestVersion: MANIFEST_VERSION,
    recordingId: opened.recordingId,
    revision: 1,
    tenant: opened.tenant ?? first?.broadWorks?.serviceProviderId ?? NO_TENANT,
    homeRegion: opened.homeRegion,
    slot: opened.slot,
    recorderVersion: input.recorderVersion,
    ...statusOf(record, outcomes, { endedAtMs: Date.parse(endedAt), holds: story.holds }),
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
    streams: outcomes.map(({ stream }) => stream),
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
  const dropped = droppedPackets(stream.lostPackets, counters?.drops ?? []);
  const payloadType = stream.payloadTypes.find((type) => codecs.has(type)) ?? [...codecs.keys()][0] ?? 0;
  return {
    label,
    channel,
    codec: codecs.get(payloadType) ?? 'none',
    payloadType,
    ssrcs: stream.ssrcs,
    packets: stream.packets,
    lostPackets: stream.lostPackets,
    ...(dropped > 0 && { droppedPackets: dropped }),
    duplicatePackets: stream.duplicatePackets,
    foreignPackets: counters?.foreignPackets ?? 0,
    jitterMs: stream.jitterMs,
    unauthenticPackets: stream.unauthenticPackets + (counters?.unauthenticPackets ?? 0),
    firstPacketAt: isoTime(stream.firstPacketAt),
    lastPacketAt: isoTime(stream.lastPacketAt),
    gaps: stream.gaps,
    unlistedGaps: stream.unlistedGaps,
    dtmf: stream.dtmf,
  };
}

const isoTime = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

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
