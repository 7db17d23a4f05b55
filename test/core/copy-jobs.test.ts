import { copyTargets, InvalidCopyJobError, parseCopyJob } from '../../core/copy-jobs.ts';

const KEY = 'rec/us-east-1/2026/11/23/01KAR7V0000000000000000000/manifest.json';

describe('parseCopyJob', () => {
  it('reads what a job says', () => {
    expect(parseCopyJob(`{"key":"${KEY}","target":"us-west-2"}`)).toEqual({ key: KEY, target: 'us-west-2' });
  });

  it.each([
    '',
    'null',
    '{}',
    `{"key":"${KEY}"}`,
    `{"key":"${KEY}","target":""}`,
    `{"key":"${KEY}","target":"us-west-2","bucket":"another"}`,
    '{"key":"rec/us-east-1/../manifest.json","target":"us-west-2"}',
    `{"key":"${KEY.replace('manifest.json', 'audio.wav')}","target":"us-west-2"}`,
  ])('refuses %j, and says what it is', (body) => {
    expect(() => parseCopyJob(body)).toThrow(
      expect.objectContaining({ name: InvalidCopyJobError.name, message: `not a copy job: ${body}` }),
    );
  });
});

describe('copyTargets', () => {
  it('are those of a region', () => {
    const replication = ['ab', 'ba', 'ac'].map(([from, to]) => ({ from: from as string, to: to as string }));
    expect(copyTargets({ replication }, 'a')).toEqual(['b', 'c']);
    expect(copyTargets({ replication }, 'c')).toEqual([]);
  });
});
