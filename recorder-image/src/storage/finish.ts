/**
 * The one way from a spool directory to a recording in S3, after a BYE as after a crash.
 *
 * Each step leaves its result in the directory, so that a repetition goes on where the last one stopped.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  InvalidManifestError,
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
  parseManifest,
} from '../../../core/manifest.ts';
import { type AssembledStream, assembleInWorker } from '../media/assemble.ts';
import { chooseCodec } from '../sdp/codecs.ts';
import { type MLine, readOffer } from '../sdp/offer.ts';
import { participantsFromHeaders } from '../siprec/headers.ts';
import { readMetadata } from '../siprec/metadata.ts';
import type { SessionMessage } from '../siprec/timeline.ts';
import { segmentsOf } from './journal-files.ts';
import { buildManifest, journalsOf } from './manifest-builder.ts';
import { protectionOf } from './protection.ts';
import { eventsOf, readSessionRecord, type SessionRecord } from './session-record.ts';
import { removeRecording, syncDirectory } from './spool.ts';
import type { SpoolKeys } from './spool-keys.ts';
import { FileChangedError, type UploadTarget, uploadRecording } from './uploader.ts';

const AUDIO_FILE = 'audio.wav';

export interface FinishDependencies {
  target: UploadTarget;
  recorderVersion: string;
  /** Open what the spool holds sealed. */
  keys?: SpoolKeys;
}

/**
 * Assembles, describes and uploads a recording that has ended, and removes it from the spool.
 * @returns its manifest; undefined if there was nothing to keep (never answered, and no packet)
 * @throws Error from the disk or S3; the directory stays, and the call can be repeated
 */
export async function finishRecording(
  directory: string,
  { target, recorderVersion, keys }: FinishDependencies,
): Promise<Manifest | undefined> {
  const manifest = await describeRecording(directory, { recorderVersion, keys });
  if (manifest) await storeRecording(directory, target, manifest);
  return manifest;
}

/**
 * Assembles and describes a recording, unless an earlier try has done so: its manifest is in the directory then.
 * @returns undefined if there is nothing to keep; the directory is gone then
 * @throws Error from the disk; the call can be repeated
 */
export async function describeRecording(
  directory: string,
  { recorderVersion, keys }: Omit<FinishDependencies, 'target'>,
): Promise<Manifest | undefined> {
  const manifest = (await readDescribed(directory)) ?? (await describe(directory, recorderVersion, keys));
  if (!manifest) await removeRecording(directory);
  return manifest;
}

/**
 * Uploads a recording as its manifest describes it, and removes it from the spool.
 * @throws FileChangedError if it is not what the manifest says; that is gone then, and the recording described anew
 * @throws Error from the disk or S3; the call can be repeated
 */
export async function storeRecording(
  directory: string,
  target: UploadTarget,
  manifest: Manifest,
): Promise<void> {
  const { bytes, sha256 } = await measure(join(directory, MANIFEST_FILE));
  try {
    await uploadRecording(target, directory, manifest, { bytes, sha256 });
  } catch (error) {
    if (error instanceof FileChangedError) await unlink(join(directory, MANIFEST_FILE));
    throw error;
  }
  await removeRecording(directory);
}

/** The manifest of an earlier try; it was written last, so that all else is there too. */
export async function readDescribed(directory: string): Promise<Manifest | undefined> {
  const path = join(directory, MANIFEST_FILE);
  if (!existsSync(path)) return undefined;
  try {
    return parseManifest(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof InvalidManifestError) return undefined; // of another version: made anew from the journals
    throw error;
  }
}

async function describe(
  directory: string,
  recorderVersion: string,
  keys: SpoolKeys | undefined,
): Promise<Manifest | undefined> {
  const record = await readSessionRecord(directory, keys);
  const names = await readdir(directory);
  const journals = journalsOf(record)
    .map((journal) => ({ ...journal, segments: segmentsOf(names, journal.journal) }))
    .filter(({ segments }) => segments.length > 0);
  const { audio, streams } = await assembleInWorker({
    streams: journals.map(({ segments, label, mLine, openedAtMs, codecs, telephoneEvents, decrypted }) => ({
      label,
      journalPaths: segments.map((segment) => join(directory, segment)),
      openedAtMs,
      codecs,
      telephoneEvents,
      protection: decrypted ? undefined : protectionOf(record, mLine),
    })),
    outPath: join(directory, AUDIO_FILE),
    endedByCrash: eventsOf(record, 'closed').length === 0,
    maskDigits: record.opened.maskDigits ?? false,
  });
  const answered = eventsOf(record, 'answered').length > 0;
  if (!answered && streams.every(({ packets }) => packets === 0)) return undefined;

  const files = await Promise.all([
    ...(audio ? [toFile(directory, AUDIO_FILE, 'audio', 'audio/wav')] : []),
    ...eventsOf(record, 'metadata').map(async ({ file, at }) => ({
      ...(await toFile(directory, file, 'metadata', 'application/rs-metadata+xml')),
      receivedAt: at,
    })),
    // What is not in the audio must not be lost with the spool.
    ...journals
      .filter((_, i) => streams[i] && isMissingFromAudio(streams[i]))
      .flatMap(({ segments }) => segments)
      .map((segment) => toFile(directory, segment, 'journal', 'application/octet-stream')),
  ]);
  const manifest = buildManifest({
    record,
    recorderVersion,
    messages: await readMessages(directory, record),
    journals,
    streams,
    ...(audio && { audio: { ...audio, file: AUDIO_FILE } }),
    files,
  });
  const text = JSON.stringify(manifest, null, 2);
  parseManifest(text, join(directory, MANIFEST_FILE)); // one that its readers refuse must not get there
  await writeDurably(join(directory, MANIFEST_FILE), text);
  return manifest;
}

/** What could not be decoded, or read, others may yet make something of. */
const isMissingFromAudio = ({ undecoded, gaps }: AssembledStream): boolean =>
  undecoded !== undefined || gaps.some(({ cause }) => cause === 'undecoded');

/** The requests of the session that brought an offer, metadata or both; those of one request have the same time. */
async function readMessages(directory: string, record: SessionRecord): Promise<SessionMessage[]> {
  const messages: SessionMessage[] = [];
  const messageAt = (at: string): SessionMessage => {
    if (messages.at(-1)?.at !== at) messages.push({ at });
    return messages.at(-1) as SessionMessage;
  };
  for (const event of record.events) {
    if (event.type === 'offer') messageAt(event.at).mLines = readOffer(event.sdp).mLines.map(withRefusal);
    if (event.type === 'metadata')
      messageAt(event.at).metadata = readMetadata(await readFile(join(directory, event.file)), event.charset);
  }
  const [first] = messages;
  const { partyHeaders } = record.opened;
  if (first && !first.metadata && partyHeaders) first.metadata = participantsFromHeaders(partyHeaders);
  return messages;
}

/** An m-line that was refused carries nobody's voice. */
const withRefusal = (mLine: MLine): MLine => (chooseCodec(mLine) ? mLine : { ...mLine, port: 0 });

async function toFile(
  directory: string,
  name: string,
  role: ManifestFile['role'],
  contentType: string,
): Promise<ManifestFile> {
  const path = join(directory, name);
  await sync(path);
  return { name, role, contentType, ...(await measure(path)) };
}

/** The manifest vouches for the file: whenever the power goes, it must not be there without it. */
async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Size and SHA-256 of a file, without holding it in memory. */
async function measure(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { bytes: (await stat(path)).size, sha256: hash.digest('hex') };
}

/**
 * The whole file or none of it, whenever the power goes. Once it has been uploaded it must be this one: journals that have
 * lost their end in a power cut would make a poorer one. So its name is made to last, too.
 */
async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await unlink(temporary).catch(() => {}); // of an earlier try
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}
