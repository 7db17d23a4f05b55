/** A placed call, and the recording of it, as they should be. */
import { createHash } from 'node:crypto';
import { type RecordingSummary, summaryOf } from '../../core/index-entries.ts';
import { recordingItem } from '../../core/index-items.ts';
import type { CallResult } from '../../local/broadworks/simulator.ts';
import { makeManifest } from '../helpers/manifest.ts';
import { pcmWav, tone } from './audio-check/make-wav.ts';

const party = (number: string) => ({ number, displayName: number, aor: `sip:${number}@example.com` });

export function makeResult(given: Partial<CallResult> = {}): CallResult {
  return {
    callNumber: 1,
    sipCallId: 'BW1@127.0.0.1',
    extTrackingId: '11111111',
    recorder: { target: 'use1-1.rec.example.com', address: '127.0.0.1', port: 5060 },
    attempts: [],
    parties: { recordedUser: party('+12145550101'), other: party('+12145550102') },
    direction: 'outgoing',
    frequencies: { recordedUser: 440, other: 1_805 },
    rtpDurationMs: 1_000,
    startedAt: '2026-11-23T10:00:00.000Z',
    endedAt: '2026-11-23T10:00:01.000Z',
    outcome: 'recorded',
    ...given,
  };
}

export function makeRecording(given: Partial<RecordingSummary> = {}): RecordingSummary {
  const summary = summaryOf(recordingItem(makeManifest({ direction: 'outgoing' })));
  return { ...summary, sipCallId: 'BW1@127.0.0.1', ...given };
}

export const AUDIO = pcmWav([tone(440), tone(1_805)], 1_000);

export const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
