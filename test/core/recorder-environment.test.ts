import {
  type RecorderVariables,
  readRecorderEnvironment,
  readRecoveryEnvironment,
} from '../../core/recorder-environment.ts';

const SOURCES = [{ name: 'broadworks', networks: ['198.51.100.0/24'], tenant: 'acme' }];
const NEEDED: RecorderVariables = {
  SIPREC_SLOT: 'use1-1',
  SIPREC_CALL_CAPACITY: '1000',
  SIPREC_SOURCES: JSON.stringify(SOURCES),
  SIPREC_BUCKET: 'recordings',
  SIPREC_SPOOL: 'spool',
  SIPREC_MEDIA_ADDRESS: '127.0.0.1',
  DRACHTIO_SECRET: 'secret',
  AWS_REGION: 'us-east-1',
};

const problemsOf = (environment: NodeJS.ProcessEnv): string[] => {
  try {
    readRecorderEnvironment(environment);
  } catch (error) {
    const [heading, ...lines] = (error as Error).message.split('\n');
    expect(heading).toBe('the environment of the recorder is not usable:');
    return lines.map((line) => line.trim());
  }
  return [];
};

describe('readRecorderEnvironment', () => {
  it('needs little, and knows the rest', () => {
    expect(readRecorderEnvironment({ ...NEEDED, HOME: 'ignored' })).toEqual({
      SIPREC_SLOT: 'use1-1',
      SIPREC_CALL_CAPACITY: 1000,
      SIPREC_SOURCES: [{ ...SOURCES[0], profile: 'broadworks' }],
      SIPREC_BUCKET: 'recordings',
      SIPREC_SPOOL: 'spool',
      SIPREC_SPOOL_KEY: [],
      SIPREC_SPOOL_RESERVE_MB: 256,
      SIPREC_MEDIA_ADDRESS: '127.0.0.1',
      SIPREC_RTP_PORT_MIN: 20_000,
      SIPREC_RTP_PORT_MAX: 59_999,
      SIPREC_PORT_COOLDOWN_SECONDS: 30,
      SIPREC_MEDIA_WORKERS: 1,
      SIPREC_METRICS_NAMESPACE: 'SiprecHa',
      SIPREC_MEDIA_RECEIVER: 'auto',
      SIPREC_MAX_STALL_MS: 400,
      SIPREC_MAX_LOOP_DELAY_MS: 500,
      SIPREC_HEALTH_ADDRESS: '0.0.0.0',
      SIPREC_HEALTH_PORT: 8080,
      SIPREC_DRAIN_SECONDS: 7200,
      SIPREC_SILENCE_SECONDS: 7200,
      SIPREC_ORPHAN_SILENCE_SECONDS: 10,
      SIPREC_MAX_CALL_SECONDS: 43_200,
      SIPREC_DRILLS: '0',
      DRACHTIO_HOST: '127.0.0.1',
      DRACHTIO_PORT: 9022,
      DRACHTIO_SECRET: 'secret',
      AWS_REGION: 'us-east-1',
      LOG_LEVEL: 'info',
    });
  });

  it('takes what is set before what it knows', () => {
    expect(
      readRecorderEnvironment({
        ...NEEDED,
        SIPREC_RTP_PORT_MIN: '30000',
        SIPREC_RTP_PORT_MAX: '30999',
        SIPREC_MEDIA_ADDRESS: '::1',
        SIPREC_MEDIA_PUBLIC_ADDRESS: '203.0.113.9',
        SIPREC_DRAIN_SECONDS: '0',
        SIPREC_HEALTH_PORT: '0',
        LOG_LEVEL: 'debug',
      }),
    ).toMatchObject({
      SIPREC_RTP_PORT_MIN: 30_000,
      SIPREC_RTP_PORT_MAX: 30_999,
      SIPREC_MEDIA_ADDRESS: '::1',
      SIPREC_MEDIA_PUBLIC_ADDRESS: '203.0.113.9',
      SIPREC_DRAIN_SECONDS: 0,
      SIPREC_HEALTH_PORT: 0,
      LOG_LEVEL: 'debug',
    });
  });

  it('takes what is set to nothing as not set, where nothing is needed', () => {
    expect(
      readRecorderEnvironment({
        ...NEEDED,
        SIPREC_FLEET_TABLE: '',
        SIPREC_REGION_SWITCH: '',
        SIPREC_INSTANCE_METADATA: '',
      }),
    ).toEqual(readRecorderEnvironment(NEEDED));
    expect(readRecorderEnvironment({ ...NEEDED, SIPREC_FLEET_TABLE: 'fleet' }).SIPREC_FLEET_TABLE).toBe(
      'fleet',
    );
  });

  it('names every variable that is missing, at once', () => {
    const problems = problemsOf({});
    expect(problems.map((line) => line.split(':')[0]).sort()).toEqual(Object.keys(NEEDED).sort());
    for (const problem of problems) expect(problem).toMatch(/^[A-Z_]+: not set: (must be set|write .+)$/);
  });

  it.each([
    ['SIPREC_SLOT', '', 'must not be empty'],
    ['SIPREC_CALL_CAPACITY', '0', 'write a whole number from 1 to 10000'],
    ['SIPREC_CALL_CAPACITY', 'many', 'write a whole number from 1 to 10000'],
    ['SIPREC_CALL_CAPACITY', '1e3', 'write a whole number from 1 to 10000'],
    ['SIPREC_SOURCES', 'broadworks', 'write JSON: [{"name": "...", "networks": ["198.51.100.0/24"]}]'],
    ['SIPREC_SOURCES', '[{"name":"a","networks":["198.51.100"]}]', 'write an address range in CIDR notation'],
    ['SIPREC_MEDIA_ADDRESS', 'eth0', 'write an IPv4 or IPv6 address'],
    ['SIPREC_MEDIA_PUBLIC_ADDRESS', '', 'write an IPv4 or IPv6 address'],
    ['SIPREC_RTP_PORT_MAX', '65536', 'write a whole number from 0 to 65535'],
    ['SIPREC_RTP_PORT_MAX', '20000', 'must be above SIPREC_RTP_PORT_MIN'],
    ['SIPREC_SPOOL_RESERVE_MB', '1GB', 'write a whole number from 0 to 1000000'],
    ['SIPREC_DRAIN_SECONDS', '', 'write a whole number from 0 to 86400'],
    ['DRACHTIO_PORT', ' 9022', 'write a whole number from 0 to 65535'],
    ['SIPREC_INSTANCE_METADATA', '169.254.169.254', 'write an address such as http://169.254.169.254'],
    ['LOG_LEVEL', 'loud', 'expected one of "trace"|"debug"'],
  ])('refuses %s=%j', (name, value, remedy) => {
    const problems = problemsOf({ ...NEEDED, [name]: value });
    expect(problems).toEqual([expect.stringContaining(`${name}: ${JSON.stringify(value)}: `)]);
    expect(problems[0]).toContain(remedy);
  });

  it.each(['secret', Buffer.alloc(31).toString('base64'), `${Buffer.alloc(32).toString('base64')},no`])(
    'refuses a key that is none, and does not repeat it: %s',
    (value) => {
      expect(problemsOf({ ...NEEDED, SIPREC_SPOOL_KEY: value })).toEqual([
        expect.stringMatching(/^SIPREC_SPOOL_KEY: its value: write base64 of 32 random bytes/),
      ]);
    },
  );

  it('takes several keys', () => {
    const keys = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
    const environment = readRecorderEnvironment({ ...NEEDED, SIPREC_SPOOL_KEY: keys.join(', ') });
    expect(environment.SIPREC_SPOOL_KEY).toEqual(keys);
  });

  it.each([
    ['{"days": 30, "objectLock": "compliance"}', { days: 30, objectLock: 'compliance' }],
    ['', undefined],
  ])('takes the retention %j', (SIPREC_RETENTION, expected) => {
    expect(readRecorderEnvironment({ ...NEEDED, SIPREC_RETENTION }).SIPREC_RETENTION).toEqual(expected);
  });

  it.each(['days: 30', '{"days": 0}'])('refuses the retention %j', (SIPREC_RETENTION) => {
    expect(problemsOf({ ...NEEDED, SIPREC_RETENTION })).toEqual([
      expect.stringMatching(/^SIPREC_RETENTION: .*write /),
    ]);
  });

  it('tells what is wrong between variables along with the rest', () => {
    const problems = problemsOf({
      ...NEEDED,
      SIPREC_BUCKET: undefined,
      SIPREC_RTP_PORT_MIN: '3000',
      SIPREC_RTP_PORT_MAX: '2000',
    });
    expect(problems).toEqual([
      'SIPREC_BUCKET: not set: must be set',
      'SIPREC_RTP_PORT_MAX: "2000": must be above SIPREC_RTP_PORT_MIN',
    ]);
  });
});

describe('readRecoveryEnvironment', () => {
  it('needs only where recordings go', () => {
    expect(
      readRecoveryEnvironment({ SIPREC_BUCKET: 'recordings', AWS_REGION: 'us-east-1', HOME: '/' }),
    ).toEqual({
      SIPREC_BUCKET: 'recordings',
      SIPREC_SPOOL_KEY: [],
      AWS_REGION: 'us-east-1',
    });
    expect(() => readRecoveryEnvironment({})).toThrow(/SIPREC_BUCKET: not set.*\n.*AWS_REGION: not set/);
  });
});
