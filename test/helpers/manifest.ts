/** Manifests as recorders write them, for tests. */
import { type ULID, ulid } from 'ulid';
import type { Manifest } from '../../core/manifest.ts';

/** An id whose time is that of the recording's start. The same random numbers give the same id. */
export const recordingIdAt = (startedAt: string, random: () => number = Math.random): ULID =>
  ulid(Date.parse(startedAt), random);

/** A complete recording of one minute, two streams; what is given replaces the fields of that name. */
export function makeManifest(given: Partial<Manifest> = {}): Manifest {
  const startedAt = given.startedAt ?? '2026-11-23T10:00:00.000Z';
  const endedAt = new Date(Date.parse(startedAt) + 60_000).toISOString();
  const stream = (channel: number) => ({
    label: String(channel + 1),
    channel,
    codec: 'PCMU',
    payloadType: 0,
    ssrcs: [1000 + channel],
    packets: 3000,
    lostPackets: 0,
    duplicatePackets: 0,
    foreignPackets: 0,
    firstPacketAt: startedAt,
    lastPacketAt: endedAt,
    gaps: [],
  });
  return {
    manifestVersion: 1,
    recordingId: recordingIdAt(startedAt),
    revision: 1,
    tenant: 'acme',
    homeRegion: 'us-east-1',
    slot: 'use1-1',
    recorderVersion: '0.1.0',
    status: 'complete',
    statusReasons: [],
    startedAt,
    endedAt,
    session: {
      sipCallId: 'BW100000@198.51.100.10',
      source: 'broadworks-east',
      sourceAddress: '198.51.100.10',
      endedBy: 'bye',
    },
    call: { callId: '11111111', correlationIds: ['11111111', 'BW100000@198.51.100.10'] },
    direction: 'incoming',
    metadataDialect: 'broadworks',
    participants: [
      {
        id: 'p1',
        aors: ['sip:+12145550101@example.com'],
        names: ['Alice'],
        number: '+12145550101',
        streamLabels: ['1'],
        joinedAt: startedAt,
      },
      { id: 'p2', aors: ['tel:+12145550102'], names: [], number: '+12145550102', streamLabels: ['2'] },
    ],
    broadWorks: { extTrackingId: '11111111', serviceProviderId: 'acme', recordingType: 'on' },
    audio: {
      file: 'audio.wav',
      startedAt,
      durationMs: 60_000,
      sampleRate: 8000,
      channels: 2,
      encoding: 'pcmu',
    },
    streams: [stream(0), stream(1)],
    warnings: [],
    files: [
      {
        name: 'audio.wav',
        role: 'audio',
        contentType: 'audio/wav',
        bytes: 960_058,
        sha256: 'a'.repeat(64),
      },
      {
        name: 'metadata-1.xml',
        role: 'metadata',
        contentType: 'application/rs-metadata+xml',
        bytes: 2048,
        sha256: 'b'.repeat(64),
      },
    ],
    ...given,
    ...(given.startedAt && !given.endedAt && { endedAt }),
  };
}
