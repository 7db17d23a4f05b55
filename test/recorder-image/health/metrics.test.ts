import { counter, exposition, gauge } from '../../../recorder-image/src/health/metrics.ts';

describe('the text format of Prometheus', () => {
  it('has help, type and samples of each metric', () => {
    expect(
      exposition([
        gauge('siprec_active_recordings', 'Recordings running.', 3),
        counter('siprec_invites_refused_total', 'INVITEs refused.', [
          [{ status: '503' }, 2],
          [{ status: '403', why: 'other' }, 1],
        ]),
        counter('siprec_nothing_total', 'Nothing yet.', []),
      ]),
    ).toBe(
      [
        '# HELP siprec_active_recordings Recordings running.',
        '# TYPE siprec_active_recordings gauge',
        'siprec_active_recordings 3',
        '# HELP siprec_invites_refused_total INVITEs refused.',
        '# TYPE siprec_invites_refused_total counter',
        'siprec_invites_refused_total{status="503"} 2',
        'siprec_invites_refused_total{status="403",why="other"} 1',
        '# HELP siprec_nothing_total Nothing yet.',
        '# TYPE siprec_nothing_total counter',
        '',
      ].join('\n'),
    );
  });

  it('escapes what would end a line or a value', () => {
    expect(exposition([gauge('a', 'a "help"\nof \\ two', [[{ label: 'a "label"\nof \\ two' }, 1]])])).toBe(
      '# HELP a a "help"\\nof \\\\ two\n# TYPE a gauge\na{label="a \\"label\\"\\nof \\\\ two"} 1\n',
    );
  });

  it.each([
    [0.25, '0.25'],
    [1e21, '1e+21'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
  ])('writes %d as %s', (value, text) => {
    expect(exposition([gauge('a', 'b', value)])).toContain(`\na ${text}\n`);
  });
});
