/** `rtp-generator.c` for machines without a C compiler: the same input and output, and a fifth of its pace. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

const PACKET_BYTES = 172;
const PACKETS_PER_SECOND = 50;
const SLOTS = 20;

const seconds = Number(process.argv[2]);
const ports = (await text(process.stdin)).trim().split('\n').map(Number);
const socket = createSocket('udp4');
socket.bind(0, '127.0.0.1');
await once(socket, 'listening');

let sent = 0;
function send(stream: number, sequence: number): Promise<void> {
  const packet = Buffer.alloc(PACKET_BYTES, 0xd5);
  packet.writeUInt16BE(0x8000, 0);
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE(sequence * 160, 4);
  packet.writeUInt32BE(0x10000 + stream, 8);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.send(packet, ports[stream], '127.0.0.1', (error) => (error ? reject(error) : resolve()));
  sent++;
  return promise;
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const startMs = monotonicMs();
for (let tick = 0; tick < seconds * PACKETS_PER_SECOND * SLOTS; tick++) {
  const waitMs = startMs + (tick * 1000) / PACKETS_PER_SECOND / SLOTS - monotonicMs();
  if (waitMs > 0) await pause(waitMs);
  const slot = tick % SLOTS;
  const [from, to] = [slot, slot + 1].map((edge) => Math.floor((ports.length * edge) / SLOTS));
  const sending: Promise<void>[] = [];
  for (let stream = from as number; stream < (to as number); stream++)
    sending.push(send(stream, Math.floor(tick / SLOTS)));
  await Promise.all(sending);
}
const lastMs = monotonicMs();
socket.close();
console.log(`${sent} ${((lastMs - startMs) / 1000).toFixed(3)} ${lastMs.toFixed(3)}`);
