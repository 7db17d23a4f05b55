import { UsageError } from '../../local/command-line.ts';
import { readOptions, USAGE } from '../../local/options.ts';

describe('the command line of npm start', () => {
  it('has defaults for everything', () => {
    expect(readOptions([])).toEqual({
      calls: 4,
      durationMs: 5_000,
      transport: 'udp',
      streams: 'dual',
      exit: false,
      fresh: false,
      freePorts: false,
      deployment: 'deployments/local.yaml',
      state: '.local',
      install: '.local/emulator',
      healthTimeFactor: 1,
    });
  });

  it('takes every option that the usage names', () => {
    const names = [...USAGE.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, name]) => name);
    const values: Record<string, string> = {
      '--calls': '8',
      '--duration': '2',
      '--transport': 'tcp',
      '--streams': 'single',
      '--deployment': 'other.yaml',
      '--state': 'here',
      '--install': 'there',
      '--health-time-factor': '10',
    };
    const args = names.flatMap((name = '') => [name, ...(values[name] ? [values[name]] : [])]);
    expect(readOptions(args)).toEqual({
      calls: 8,
      durationMs: 2_000,
      transport: 'tcp',
      streams: 'single',
      exit: true,
      fresh: true,
      freePorts: true,
      deployment: 'other.yaml',
      state: 'here',
      install: 'there',
      healthTimeFactor: 10,
    });
  });

  it('gives help', () => {
    expect(readOptions(['--help'])).toBe('help');
  });

  it.each([
    ['--calls=-1', '--calls -1: write a whole number from 0 to 1000'],
    ['--calls=1001', '--calls 1001: write a whole number from 0 to 1000'],
    ['--calls=', '--calls : write a whole number'],
    ['--duration=2.5', '--duration 2.5: write a whole number from 1 to 3600'],
    ['--streams=stereo', '--streams stereo: write one of dual, single'],
    ['--health-time-factor=0', '--health-time-factor 0: write a whole number from 1 to 100'],
    ['--calling=3', "Unknown option '--calling'"],
    ['8', "Unexpected argument '8'"],
  ])('refuses %s', (argument, message) => {
    expect(() => readOptions([argument])).toThrow(UsageError);
    expect(() => readOptions([argument])).toThrow(message);
  });
});
