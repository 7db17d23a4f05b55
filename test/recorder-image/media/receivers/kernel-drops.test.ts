import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { readDrops, tableAddress } from '../../../../recorder-image/src/media/receivers/kernel-drops.ts';
import { bufferWarning } from '../../../../recorder-image/src/media/receivers/receiver.ts';

const HEADING =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops';
const line = (local: string, drops: number) =>
  `  417: ${local} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18712 2 ffff888003a8 ${drops}`;
const table = (...lines: string[]) =>
  Buffer.from([HEADING, ...lines].map((text) => `${text.padEnd(127)}\n`).join(''));

describe('the table of UDP sockets', () => {
  it('tells of the sockets at an address that have dropped something', () => {
    const text = table(
      line('0100007F:4E20', 3),
      line('0100007F:4E22', 0),
      line('0100007F:4E24', 10),
      line('0200007F:4E26', 5),
      line('0100007F:FFFE', 4_294_967_295),
    );
    expect([...readDrops(text, '0100007F')]).toEqual([
      [20_000, 3],
      [20_004, 10],
      [65_534, 4_294_967_295],
    ]);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a heading only', table()],
    ['something else', Buffer.from('not\na table\nat all 7\n')],
    ['a line that is cut off', Buffer.concat([table(), Buffer.from(line('0100007F:4E20', 3))])],
  ])('with %s tells of none', (_, text) => {
    expect([...readDrops(text, '0100007F')]).toEqual([]);
  });

  it('of this machine can be read', () => {
    const drops = [...readDrops(readFileSync('/proc/net/udp'), tableAddress('127.0.0.1'))];
    for (const [port, packets] of drops) expect([port > 0, packets > 0]).toEqual([true, true]);
  });

  it('has addresses in the byte order of the machine', () => {
    expect([tableAddress('127.0.0.1'), tableAddress('::1')]).toEqual(
      endianness() === 'LE'
        ? ['0100007F', '00000000000000000000000001000000']
        : ['7F000001', '00000000000000000000000000000001'],
    );
  });
});

describe('receive buffers', () => {
  it('smaller than asked are warned of, with the remedy', () => {
    expect(bufferWarning(2 * 1024 * 1024)).toBeUndefined();
    expect(bufferWarning(425_984)).toBe(
      'the kernel grants receive buffers of 212992 bytes, 1048576 are wanted: sysctl -w net.core.rmem_max=1048576',
    );
  });
});
