/** The bytes of a G.711 recording as they lie in its file, one buffer per channel. */

/** WAVE_FORMAT_MULAW. */
const MULAW = 7;

/** @throws Error if it is no RIFF/WAVE file in mu-law */
export function mulawChannels(file: Buffer): Buffer[] {
  if (file.toString('latin1', 0, 4) !== 'RIFF') throw new Error('the audio is no RIFF file');
  let channels = 0;
  for (let offset = 12; offset + 8 <= file.length; ) {
    const id = file.toString('latin1', offset, offset + 4);
    const content = file.subarray(offset + 8, offset + 8 + file.readUInt32LE(offset + 4));
    if (id === 'fmt ') {
      if (content.readUInt16LE(0) !== MULAW)
        throw new Error(`the audio has format ${content.readUInt16LE(0)}`);
      channels = content.readUInt16LE(2);
    }
    if (id === 'data')
      return Array.from({ length: channels }, (_, channel) => every(content, channel, channels));
    offset += 8 + content.length + (content.length % 2);
  }
  throw new Error('the audio has no data');
}

function every(interleaved: Buffer, first: number, step: number): Buffer {
  const one = Buffer.alloc(Math.floor(interleaved.length / step));
  for (let index = 0; index < one.length; index++) one[index] = interleaved[index * step + first] as number;
  return one;
}
