import {
  journalFile,
  nextSegment,
  segmentFile,
  segmentsOf,
} from '../../../recorder-image/src/storage/journal-files.ts';

const journal = journalFile(1);

it('names a journal and its segments', () => {
  expect([1, 2, 11].map((segment) => segmentFile(journal, segment))).toEqual([
    'stream-1.rtpdump',
    'stream-1.2.rtpdump',
    'stream-1.11.rtpdump',
  ]);
});

it('finds the segments of one journal in the order of time, though one be missing', () => {
  const names = [
    'stream-1.11.rtpdump',
    'stream-1.rtpdump',
    'stream-1.3.rtpdump',
    'stream-11.rtpdump',
    'stream-1.x.rtpdump',
    'stream-1.2.rtpdump.part',
    'session.jsonl',
  ];
  expect(segmentsOf(names, journal)).toEqual([
    'stream-1.rtpdump',
    'stream-1.3.rtpdump',
    'stream-1.11.rtpdump',
  ]);
  expect(nextSegment(names, journal)).toBe('stream-1.12.rtpdump');
  expect(nextSegment([], journal)).toBe('stream-1.rtpdump');
  expect(segmentsOf([], journal)).toEqual([]);
});
