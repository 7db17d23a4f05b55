/** Made-up WAVE files: what the reader and the checker are tried on. */
export const RATE = 8_000;

export type Sound = (seconds: number) => number;

export const tone =
  (frequencyHz: number, db = -12): Sound =>
  (seconds) =>
    10 ** (db / 20) * Math.sin(2 * Math.PI * frequencyHz * seconds);

export const silence: Sound = () => 0;

export const sum =
  (...sounds: Sound[]): Sound =>
  (seconds) =>
    sounds.reduce((total, sound) => total + sound(seconds), 0);

/** White noise that is the same in every run. */
export function noise(db: number): Sound {
  let state = 42;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return 10 ** (db / 20) * Math.sqrt(3) * (2 * (state / 0x7fff_ffff) - 1);
  };
}

/** 16-bit PCM, one sound per channel. */
export function pcmWav(sounds: Sound[], durationMs: number): Buffer {
  const frames = Math.round((durationMs * RATE) / 1000);
  const data = Buffer.alloc(frames * sounds.length * 2);
  for (let frame = 0; frame < frames; frame++) {
    sounds.forEach((sound, channel) => {
      data.writeInt16LE(Math.round(sound(frame / RATE) * 32_767), (frame * sounds.length + channel) * 2);
    });
  }
  return riff(chunk('fmt ', format(1, sounds.length, 16)), chunk('data', data));
}

/** G.711 codes, one buffer per channel. */
export function g711Wav(tag: 6 | 7, channels: Buffer[]): Buffer {
  const frames = Math.min(...channels.map(({ length }) => length));
  const data = Buffer.alloc(frames * channels.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = channels[i % channels.length]?.[Math.floor(i / channels.length)] ?? 0;
  }
  return riff(
    chunk('fmt ', format(tag, channels.length, 8)),
    chunk('fact', Buffer.alloc(4)),
    chunk('data', data),
  );
}

export function format(tag: number, channels: number, bits: number, extension = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16LE(tag, 0);
  head.writeUInt16LE(channels, 2);
  head.writeUInt32LE(RATE, 4);
  head.writeUInt32LE((RATE * channels * bits) / 8, 8);
  head.writeUInt16LE((channels * bits) / 8, 12);
  head.writeUInt16LE(bits, 14);
  return Buffer.concat([head, extension]);
}

export function chunk(id: string, content: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, 'latin1');
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)]);
}

export function riff(...chunks: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from('WAVE'), ...chunks]);
  return chunk('RIFF', body);
}
