import { reportTable } from '../../local/report.ts';
import { makeRecording, makeResult } from './make-call.ts';

describe('the table of calls', () => {
  it('has a row per call, its columns in line, and nothing below when all is well', () => {
    const recording = makeRecording({
      recordingId: '01KAR7V0000000000000000000',
      audio: { file: 'audio.wav', startedAt: '', durationMs: 5_004, channels: 2, encoding: 'pcmu' },
    });
    const incoming = makeResult({ callNumber: 10, direction: 'incoming' });
    const table = reportTable([
      {
        call: makeResult(),
        recording,
        audio: '440 Hz | 1805 Hz',
        copies: ['us-east-1', 'us-west-2'],
        copyLagMs: 1_340,
        problems: [],
      },
      {
        call: incoming,
        recording,
        audio: '440 Hz | 1805 Hz',
        copies: ['us-east-1', 'us-west-2'],
        problems: [],
      },
    ]);
    expect(table.split('\n')).toEqual([
      '  call  recorder  region     parties                       direction  duration  status    copies                copied in  audio                recording',
      '  1     use1-1    us-east-1  +12145550101 -> +12145550102  outgoing   5.00 s    complete  us-east-1, us-west-2  1.34 s     440 Hz | 1805 Hz ok  01KAR7V0000000000000000000',
      '  10    use1-1    us-east-1  +12145550101 <- +12145550102  incoming   5.00 s    complete  us-east-1, us-west-2  -          440 Hz | 1805 Hz ok  01KAR7V0000000000000000000',
    ]);
  });

  it('says below which call has which problems', () => {
    const untaken = makeResult({ callNumber: 2, outcome: 'failed' });
    delete untaken.recorder;
    const table = reportTable([
      { call: makeResult(), audio: '-', copies: [], problems: ['not found', 'and more'] },
      { call: untaken, audio: '-', copies: [], problems: ['no recorder took it: silence'] },
    ]);
    expect(table.split('\n').slice(1)).toEqual([
      '  1     use1-1    -       +12145550101 -> +12145550102  outgoing   -         not found     -       -          - WRONG  -',
      '  2     -         -       +12145550101 -> +12145550102  outgoing   -         not recorded  -       -          - WRONG  -',
      '',
      '  call 1: not found',
      '  call 1: and more',
      '  call 2: no recorder took it: silence',
    ]);
  });
});
