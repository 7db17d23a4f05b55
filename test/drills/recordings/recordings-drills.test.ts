/** Three drills of recordings, with few of them and one after the other in the same stacks: `npm run drill` is for the real ones. */
import { CLOUD_START_TIMEOUT_MS } from '../../e2e/cloud.ts';
import { type RecordingsDrill, runRecordingsDrill } from './recordings-drill.ts';
import { RECORDINGS_DRILLS } from './recordings-drills.ts';
import { type RecordingsStage, startRecordingsStage } from './recordings-stage.ts';

const RECORDINGS = 30;
const DRILL_TIMEOUT_MS = 240_000;

let stage: RecordingsStage;
const interrupt = new AbortController();

beforeAll(async () => {
  stage = await startRecordingsStage(() => {}, interrupt.signal);
}, CLOUD_START_TIMEOUT_MS);
afterAll(async () => {
  interrupt.abort();
  await stage?.stop();
});

it.each(['lost-events', 'corrupt-copy', 'region-gone'])(
  '%s',
  async (name) => {
    const before = stage.recordings.length;
    const { result, failures } = await runRecordingsDrill(
      RECORDINGS_DRILLS.get(name) as RecordingsDrill,
      stage,
      RECORDINGS,
    );
    const recordings = before + RECORDINGS;
    expect({ result, failures }).toMatchObject({
      result: {
        drill: name,
        passed: true,
        recordings,
        indexed: recordings,
        copiesDue: recordings,
        copiesVerified: recordings,
      },
      failures: [],
    });
  },
  DRILL_TIMEOUT_MS,
);
