/** `npm run fuzz:api`: fuzzes the deployed API as a caller of each of two tenants. The last line is one JSON object. */
import { parseArgs } from 'node:util';
import { parseCommandLine, runCommand, wholeNumber } from '../../local/command-line.ts';
import { fuzzAs } from './fuzz-api.ts';
import { startFuzzStage, TENANTS } from './stage.ts';

const USAGE = `npm run fuzz:api -- [--seconds N] [--seed N]

  --seconds N  of fuzzing, for each of the two callers (default 120)
  --seed N     of what is generated (default: another each time)`;

await runCommand(USAGE, async () => {
  const { values } = parseCommandLine(() =>
    parseArgs({
      options: {
        seconds: { type: 'string', default: '120' },
        seed: { type: 'string', default: String(1 + (Date.now() % 1e9)) },
      },
    }),
  );
  const seconds = wholeNumber('--seconds', values.seconds, 86_400);
  const seed = wholeNumber('--seed', values.seed, 2 ** 31);
  const stage = await startFuzzStage();
  try {
    const runs = [];
    for (const tenant of TENANTS) {
      const { output, ...run } = await fuzzAs(stage, tenant, { seconds, seed });
      console.log(output);
      runs.push(run);
    }
    console.log(JSON.stringify({ seed, runs }));
    return runs.every(({ passed, leaks }) => passed && leaks.length === 0) ? 0 : 1;
  } finally {
    await stage.stop();
  }
});
