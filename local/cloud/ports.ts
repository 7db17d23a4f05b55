/** The ports of the local cloud: fixed and easy to remember, or free ones from the system. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { LocalCloudError } from './errors.ts';

export const HOST = '127.0.0.1';

/** RTP ports of one slot's recorder: even for RTP, the next for RTCP. */
export interface PortRange {
  min: number;
  max: number;
}

export interface SlotPortPlan {
  sip: number;
  sipAdmin: number;
  health: number;
  rtp: PortRange;
}

export interface PortPlan {
  emulator: number;
  dns: number;
  slots: Map<string, SlotPortPlan>;
}

const RTP_BASE = 20_000;
const RTP_PORTS_PER_SLOT = 2_000;

const EMULATOR_PORT = 4566;

/**
 * The same ports at every start, so that commands can be repeated.
 * @param emulator the port that the emulator's kept state belongs to, if there is any
 */
export const fixedPorts = (slotNames: string[], emulator: number = EMULATOR_PORT): PortPlan => ({
  emulator,
  dns: 5053,
  slots: new Map(
    slotNames.map((name, i) => [
      name,
      { sip: 5060 + 10 * i, sipAdmin: 9022 + 10 * i, health: 8080 + 10 * i, rtp: rtpRange(i) },
    ]),
  ),
});

/** Ports that the system says are free; for tests, and where the fixed ones are taken. */
export async function freePorts(slotNames: string[], emulator?: number): Promise<PortPlan> {
  const slots = new Map<string, SlotPortPlan>();
  for (const [i, name] of slotNames.entries())
    slots.set(name, {
      sip: await freePort(),
      sipAdmin: await freePort(),
      health: await freePort(),
      rtp: rtpRange(i),
    });
  return { emulator: emulator ?? (await freePort()), dns: await freePort(), slots };
}

const rtpRange = (i: number): PortRange => ({
  min: RTP_BASE + i * RTP_PORTS_PER_SLOT,
  max: RTP_BASE + (i + 1) * RTP_PORTS_PER_SLOT - 1,
});

/**
 * Makes sure, before anything is started, that nobody else has our ports.
 * @throws LocalCloudError naming every port that is taken
 */
export async function checkPorts(plan: PortPlan, emulatorIsOurs: boolean): Promise<void> {
  const wanted: [string, number][] = [
    ...(emulatorIsOurs ? ([['the AWS emulator', plan.emulator]] as [string, number][]) : []),
    ['DNS', plan.dns],
    ...[...plan.slots].flatMap(([name, { sip, sipAdmin, health }]): [string, number][] => [
      [`SIP of ${name}`, sip],
      [`SIP server control of ${name}`, sipAdmin],
      [`health of ${name}`, health],
    ]),
  ];
  const taken: string[] = [];
  for (const [what, port] of wanted) if (!(await isFree(port))) taken.push(`  ${HOST}:${port} (${what})`);
  if (taken.length > 0)
    throw new LocalCloudError(
      `these ports are taken by another program, perhaps another npm start:\n${taken.join('\n')}\n` +
        'Stop it, or start with --free-ports to use others (and --fresh, if it is the port of the AWS emulator, whose ' +
        'kept state belongs to it).',
    );
}

/** A port that is free for both UDP and TCP. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const udpToo = await canBindUdp(port);
    server.close();
    await once(server, 'close');
    if (udpToo && !(port >= RTP_BASE && port < RTP_BASE + 8 * RTP_PORTS_PER_SLOT)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: HOST, exclusive: true });
    await once(server, 'listening');
    return await canBindUdp(port);
  } catch {
    return false;
  } finally {
    server.close();
  }
}

async function canBindUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ port, address: HOST, exclusive: true });
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
