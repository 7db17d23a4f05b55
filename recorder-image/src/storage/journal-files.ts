/**
 * Names of journal files. A stream begins with `stream-1.rtpdump`; each time that it is opened again after a crash, of
 * the recorder or of the worker that received it, it goes on in a new segment: `stream-1.2.rtpdump`, `stream-1.3.rtpdump`.
 * What a dead writer left behind is never written to again.
 */

const ENDING = '.rtpdump';

/** The first segment of the n-th stream of a recording, from 1; also the name of the journal as a whole. */
export const journalFile = (stream: number): string => `stream-${stream}${ENDING}`;

/** @param segment from 1 */
export const segmentFile = (journal: string, segment: number): string =>
  segment === 1 ? journal : `${journal.slice(0, -ENDING.length)}.${segment}${ENDING}`;

/**
 * The segments of a journal that are there, in the order of time.
 * @param names of the files in the recording's directory
 */
export const segmentsOf = (names: readonly string[], journal: string): string[] =>
  names
    .filter((name) => segmentNumber(name, journal) > 0)
    .sort((one, other) => segmentNumber(one, journal) - segmentNumber(other, journal));

/** The segment to open next. */
export function nextSegment(names: readonly string[], journal: string): string {
  const last = names.reduce((highest, name) => Math.max(highest, segmentNumber(name, journal)), 0);
  return segmentFile(journal, last + 1);
}

/** 0 if the file is no segment of this journal. */
function segmentNumber(name: string, journal: string): number {
  if (name === journal) return 1;
  const stem = `${journal.slice(0, -ENDING.length)}.`;
  const number = name.slice(stem.length, -ENDING.length);
  return name === `${stem}${number}${ENDING}` && /^[1-9]\d*$/.test(number) ? Number(number) : 0;
}
