/** SIPp, the independent SIP client of these tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './npm-start-child.ts';

/** As `local/hints.ts` and the scenarios tell people to call it. */
export const TRANSPORT_OPTIONS = { udp: ['-t', 'u1'], tcp: ['-t', 'tn', '-max_socket', '1000'] } as const;

let nextMediaPort = 28_100;

/**
 * Plays one call of a scenario against a recorder.
 * @param sipCallId becomes the call's Call-ID
 * @throws with SIPp's own error messages
 */
export async function playScenario(
  scenario: string,
  transport: 'udp' | 'tcp',
  sipPort: number,
  sipCallId: string,
): Promise<void> {
  const mediaPort = nextMediaPort;
  nextMediaPort += 10;
  await runSipp([
    ...['-sf', `test/e2e/sipp/${scenario}.xml`, '-m', '1', ...TRANSPORT_OPTIONS[transport]],
    ...['-i', '127.0.0.1', '-mp', String(mediaPort), '-cid_str', sipCallId, `127.0.0.1:${sipPort}`],
  ]);
}

/** Runs SIPp from the repository root. */
export async function runSipp(args: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-sipp-'));
  try {
    const child = spawn(
      'sipp',
      [...args, '-nostdin', '-timeout', '30s', '-trace_err', '-error_file', join(directory, 'errors.log')],
      { cwd: ROOT, stdio: 'ignore' },
    );
    const [code] = await once(child, 'close').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT')
        throw new Error('sipp is not installed. Debian and Ubuntu: apt-get install sip-tester');
      throw error;
    });
    if (code === 0) return;
    const errors = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    throw new Error(`sipp ${args.join(' ')} ended with ${code}\n${errors.join('\n')}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
