/** Recordings without a dialog end by RTP silence. */
import type { RecorderVariables } from '../../../core/recorder-environment.ts';
import type { DrillOptions } from '../drill.ts';

/** The recorder's own default. */
const LONGEST_MS = 10_000;

/** In a short drill less than the default. */
export const orphanSilenceMs = ({ talkMs }: DrillOptions): number =>
  Math.min(LONGEST_MS, Math.max(1_000, talkMs));

export const ORPHAN_SILENCE = (options: DrillOptions): RecorderVariables => ({
  SIPREC_ORPHAN_SILENCE_SECONDS: String(Math.ceil(orphanSilenceMs(options) / 1000)),
});
