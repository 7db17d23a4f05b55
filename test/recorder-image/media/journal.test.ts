import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import {
  JournalReader,
  type JournalWriteError,
  JournalWriter,
  MAX_PACKET_BYTES,
} from '../../../recorder-image/src/media/journal.ts';
import { openFilesIn } from '../../helpers/open-files.ts';
import { EPOCH_MS, rtcpPacket, rtpPacket, talk, useTemporaryDirectory, writeJournal } from './support.ts';

const inDirectory = useTemporaryDirectory();
const HEADER = { address: '127.0.0.1', port: 20_000, startedAtMs: EPOCH_MS + 250 };
const HEADER_BYTES = '#!rtpplay1.0 127.0.0.1/20000\n'.length + 16;

const refuseErrors = ({ message }: JournalWriteError): never => {
  throw new Error(message);
};

function readAll(path: string) {
  const reader = new JournalReader(path);
  const packets = Array.from(reader.packets(), ({ rtcp, arrivalMs, packet }) => ({
    rtcp,
    arrivalMs,
    packet: Buffer.from(packet),
  }));
  return { packets, header: reader.header, truncatedAt: reader.truncatedAt };
}

describe('JournalWriter', () => {
  it('writes rtpdump', () => {
    const path = inDirectory('a.rtpdump');
    const journal = new JournalWriter(path, HEADER, refuseErrors);
    const packet = rtpPacket({ payload: Buffer.from('voice') });
    journal.append(packet, packet.length, HEADER.startedAtMs + 1000.4, false);
    journal.append(rtcpPacket(), 8, HEADER.startedAtMs + 2000, true);
    journal.close();

    const file = readFileSync(path);
    const line = '#!rtpplay1.0 127.0.0.1/20000\n';
    expect(file.toString('latin1', 0, line.length)).toBe(line);
    const binary = file.subarray(line.length);
    expect(binary.readUInt32BE(0)).toBe(EPOCH_MS / 1000);
    expect(binary.readUInt32BE(4)).toBe(250_000);
    expect([...binary.subarray(8, 16)]).toEqual([127, 0, 0, 1, 20_000 >> 8, 20_000 & 0xff, 0, 0]);
    expect([binary.readUInt16BE(16), binary.readUInt16BE(18), binary.readUInt32BE(20)]).toEqual([
      25, 17, 1000,
    ]);
    expect(binary.subarray(24, 41)).toEqual(packet);
    expect([binary.readUInt16BE(41), binary.readUInt16BE(43), binary.readUInt32BE(45)]).toEqual([
      16, 0, 2000,
    ]);
    expect(binary.subarray(49)).toEqual(rtcpPacket());
  });

  it('has its header in the file before any packet', () => {
    const path = inDirectory('a.rtpdump');
    const journal = new JournalWriter(path, HEADER, refuseErrors);
    expect(readAll(path)).toEqual({ packets: [], header: HEADER, truncatedAt: undefined });
    journal.close();
  });

  it('flushes when asked for packets of that age, and no sooner', () => {
    const path = inDirectory('a.rtpdump');
    const journal = new JournalWriter(path, HEADER, refuseErrors);
    const packet = rtpPacket();
    const arrivalMs = HEADER.startedAtMs + 40;
    journal.append(packet, packet.length, arrivalMs, false);
    journal.append(packet, packet.length, arrivalMs + 20, false);
    journal.flushOlderThan(arrivalMs);
    expect(readAll(path).packets).toHaveLength(0);
    journal.flushOlderThan(arrivalMs + 1);
    expect(readAll(path).packets).toHaveLength(2);
    journal.close();
  });

  it('flushes by itself when its buffer is full', () => {
    const path = inDirectory('a.rtpdump');
    const journal = new JournalWriter(path, HEADER, refuseErrors);
    const packet = rtpPacket({ payload: Buffer.alloc(MAX_PACKET_BYTES - 12, 7) });
    for (let count = 0; count < 5; count++)
      journal.append(packet, packet.length, HEADER.startedAtMs + count, false);
    expect(readAll(path).packets).toHaveLength(4);
    journal.close();
    expect(readAll(path).packets.map((read) => read.packet.length)).toEqual(Array(5).fill(MAX_PACKET_BYTES));
  });

  it('writes no more of a reused buffer than the packet', () => {
    const path = inDirectory('a.rtpdump');
    const journal = new JournalWriter(path, HEADER, refuseErrors);
    const packet = rtpPacket({ payload: Buffer.from('voice') });
    journal.append(
      Buffer.concat([packet, Buffer.from('left over')]),
      packet.length,
      HEADER.startedAtMs,
      false,
    );
    journal.close();
    expect(readAll(path).packets[0]?.packet).toEqual(packet);
  });

  it('never writes over a journal', () => {
    const path = inDirectory('a.rtpdump');
    writeJournal(path, talk({ seed: 1, packets: 1 }));
    const before = readFileSync(path);
    expect(() => new JournalWriter(path, HEADER, refuseErrors)).toThrow('EEXIST');
    expect(readFileSync(path)).toEqual(before);
  });

  it('says at once that the disk is full or the directory missing', () => {
    expect(() => new JournalWriter('/dev/full', HEADER, refuseErrors)).toThrow('ENOSPC');
    expect(() => new JournalWriter(inDirectory('missing/a.rtpdump'), HEADER, refuseErrors)).toThrow('ENOENT');
  });

  it('reports the first write that fails, once, and leaves the rest alone', () => {
    const path = inDirectory('pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const errors: JournalWriteError[] = [];
    const journal = new JournalWriter(path, HEADER, (error) => errors.push(error));
    closeSync(reader);
    const packet = rtpPacket();
    for (let count = 0; count < 3; count++) {
      journal.append(packet, packet.length, HEADER.startedAtMs, false);
      journal.flush();
    }
    journal.close();
    expect(errors).toEqual([{ code: 'EPIPE', message: expect.stringContaining('EPIPE') }]);
    expect(journal.error).toBe(errors[0]);
  });

  it('says so when its 32-bit time offsets end', () => {
    const errors: JournalWriteError[] = [];
    const journal = new JournalWriter(inDirectory('a.rtpdump'), HEADER, (error) => errors.push(error));
    const packet = rtpPacket();
    journal.append(packet, packet.length, HEADER.startedAtMs + 0xffff_ffff, false);
    journal.append(packet, packet.length, HEADER.startedAtMs + 0x1_0000_0000, false);
    journal.close();
    expect(errors.map(({ code }) => code)).toEqual(['EOVERFLOW']);
    expect(readAll(inDirectory('a.rtpdump')).packets).toHaveLength(1);
  });
});

describe('JournalReader', () => {
  it('reads back what was written, across its chunks', () => {
    const path = inDirectory('a.rtpdump');
    const written = talk({ seed: 5, packets: 5000 });
    written.splice(100, 0, { atMs: 2000, packet: rtcpPacket(), rtcp: true });
    writeJournal(path, written);
    const { packets, header, truncatedAt } = readAll(path);
    expect(header).toEqual({ address: '127.0.0.1', port: 20_000, startedAtMs: EPOCH_MS });
    expect(truncatedAt).toBeUndefined();
    expect(packets).toEqual(
      written.map(({ atMs, packet, rtcp = false }) => ({ rtcp, arrivalMs: EPOCH_MS + atMs, packet })),
    );
  });

  it('reads the addresses of IPv6', () => {
    const path = inDirectory('a.rtpdump');
    new JournalWriter(path, { ...HEADER, address: '2001:db8::1' }, refuseErrors).close();
    expect(readAll(path).header).toEqual({ ...HEADER, address: '2001:db8::1' });
  });

  it('reads all that is whole, wherever the file is cut off', () => {
    const path = inDirectory('whole.rtpdump');
    writeJournal(path, talk({ seed: 3, packets: 3 }));
    const file = readFileSync(path);
    const recordBytes = 8 + 12 + 160;
    expect(file.length).toBe(HEADER_BYTES + 3 * recordBytes);
    for (let length = 0; length <= file.length; length++) {
      const cut = inDirectory('cut.rtpdump');
      writeFileSync(cut, file.subarray(0, length));
      const whole = Math.max(0, Math.floor((length - HEADER_BYTES) / recordBytes));
      const end = length < HEADER_BYTES ? 0 : HEADER_BYTES + whole * recordBytes;
      const isCut = length < HEADER_BYTES || end < length;
      const { packets, truncatedAt } = readAll(cut);
      expect({ length, packets: packets.length, truncatedAt }).toEqual({
        length,
        packets: whole,
        truncatedAt: isCut ? end : undefined,
      });
    }
  });

  it.each([
    ['zeros', Buffer.alloc(4096)],
    ['a length without its header', Buffer.from([0, 4, 0, 0, 0, 0, 0, 0])],
    ['lengths that contradict each other', Buffer.from([0, 20, 0, 13, 0, 0, 0, 0, ...rtpPacket()])],
    ['a length that no packet has', Buffer.alloc(70_000, 0xff)],
  ])('stops at a tail of %s', (_, tail) => {
    const path = inDirectory('a.rtpdump');
    writeJournal(path, talk({ seed: 3, packets: 2 }));
    const { length } = readFileSync(path);
    appendFileSync(path, tail);
    const { packets, truncatedAt } = readAll(path);
    expect(packets).toHaveLength(2);
    expect(truncatedAt).toBe(length);
  });

  it('finds nothing in a file that is no journal', () => {
    const path = inDirectory('a.rtpdump');
    writeFileSync(path, 'something else\nentirely, and long enough for a header');
    expect(readAll(path)).toEqual({ packets: [], header: undefined, truncatedAt: 0 });
  });

  it('says that there is no file', () => {
    expect(() => readAll(inDirectory('missing.rtpdump'))).toThrow('ENOENT');
  });

  it('closes the file when the reading is broken off', () => {
    const path = inDirectory('a.rtpdump');
    writeJournal(path, talk({ seed: 3, packets: 3 }));
    const isOpen = () => openFilesIn(path).length > 0;
    const packets = new JournalReader(path).packets();
    packets.next();
    expect(isOpen()).toBe(true);
    packets.return();
    expect(isOpen()).toBe(false);
  });
});
