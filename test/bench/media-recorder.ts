/**
 * The recorder's media part in a process of its own, for `media.ts`: a real MediaCapture with one worker, which journals
 * into the folder of the second argument. Each message from the parent is answered with one.
 */
import { join } from 'node:path';
import { MediaCapture, type ReceiverKind } from '../../recorder-image/src/media/capture.ts';

/** One number: open so many streams. */
export type MediaRequest = { open: number } | { sample: true } | { finish: true };

export interface MediaSample {
  /** Taken in by the worker. */
  packets: number;
  /** User and system time of all threads of the process. */
  cpuSeconds: number;
  rssBytes: number;
}

export interface MediaResult {
  /** In the journals. */
  rtpPackets: number;
  dropped: number;
}

export type MediaAnswer = { ports: number[] } | MediaSample | MediaResult;

const HOST = '127.0.0.1';
const [receiver, directory = '', minPort = '', maxPort = ''] = process.argv.slice(2);

const capture = await MediaCapture.start({
  workers: 1,
  receiver: receiver as ReceiverKind,
  address: HOST,
  portRange: { min: Number(minPort), max: Number(maxPort) },
  onWorkerExit: ({ error }) => {
    throw error;
  },
});

async function open(streams: number): Promise<{ ports: number[] }> {
  const ports: number[] = [];
  for (let stream = 0; stream < streams; stream++) {
    const journalPath = join(directory, `${minPort}-${stream}.rtpdump`);
    ports.push((await capture.openStream({ journalPath, accept: [HOST] })).rtpPort);
  }
  return { ports };
}

function sample(): MediaSample {
  const { user, system } = process.cpuUsage();
  return {
    packets: capture.packets(),
    cpuSeconds: (user + system) / 1e6,
    rssBytes: process.memoryUsage.rss(),
  };
}

async function finish(): Promise<MediaResult> {
  const streams = [...(await capture.counters()).values()];
  const dropped = streams.flatMap(({ drops = [] }) => drops.map(({ packets }) => packets));
  await capture.stop();
  return {
    rtpPackets: streams.reduce((sum, { rtpPackets }) => sum + rtpPackets, 0),
    dropped: dropped.reduce((sum, packets) => sum + packets, 0),
  };
}

const answerTo = (request: MediaRequest): MediaAnswer | Promise<MediaAnswer> => {
  if ('open' in request) return open(request.open);
  return 'sample' in request ? sample() : finish();
};

process.on('message', async (request: MediaRequest) => {
  const answer = await answerTo(request);
  process.send?.(answer, () => {
    if ('finish' in request) process.disconnect();
  });
});
process.send?.({ ready: true });
