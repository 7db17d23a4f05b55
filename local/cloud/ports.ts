/** The ports of the local cloud: fixed and easy to remember, or a block of free ones. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
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

/** Blocks of free ports lie between here and the fixed RTP ports. */
const FREE_BASE = 10_000;
const BLOCK = 2_000;

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

const rtpRange = (i: number): PortRange => ({
  min: RTP_BASE + i * RTP_PORTS_PER_SLOT,
  max: RTP_BASE + (i + 1) * RTP_PORTS_PER_SLOT - 1,
});

export interface ClaimedPorts {
  plan: PortPlan;
  /** Lets other local clouds have them. */
  release(): Promise<void>;
}

/**
 * Ports that nobody uses; for tests, and where the fixed ones are taken. They lie below those that the system gives to
 * outgoing connections, in a block that is claimed by listening at its first port: local clouds that run at the same
 * time share nothing, nor does the media that is still sent to a dead recorder reach another cloud's.
 * @throws LocalCloudError if all blocks are taken
 */
export async function claimPorts(slotNames: string[], emulator?: number): Promise<ClaimedPorts> {
  for (let base = FREE_BASE; base < RTP_BASE; base += BLOCK) {
    const claim = await listen(base);
    if (!claim) continue;
    // The emulator's port outlives the run with its state; in the block, another cloud could claim it meanwhile.
    const plan = blockPlan(base, slotNames, emulator ?? (await freePort()));
    if ((await takenPorts(portUses(plan))).length === 0) return { plan, release: () => close(claim) };
    await close(claim);
  }
  throw new LocalCloudError(
    `no block of ${BLOCK} ports from ${FREE_BASE} to ${RTP_BASE - 1} is free: stop other local clouds.`,
  );
}

function blockPlan(base: number, slotNames: string[], emulator: number): PortPlan {
  const signalling = 2 + 3 * slotNames.length;
  const rtpBase = base + signalling + (signalling % 2);
  const rtpPorts = 2 * Math.floor((base + BLOCK - rtpBase) / 2 / slotNames.length);
  return {
    emulator,
    dns: base + 1,
    slots: new Map(
      slotNames.map((name, i) => {
        const first = base + 2 + 3 * i;
        const min = rtpBase + i * rtpPorts;
        return [
          name,
          { sip: first, sipAdmin: first + 1, health: first + 2, rtp: { min, max: min + rtpPorts - 1 } },
        ];
      }),
    ),
  };
}

/**
 * Makes sure, before anything is started, that nobody else has our ports.
 * @throws LocalCloudError naming every port that is taken
 */
export async function checkPorts(plan: PortPlan, emulatorIsOurs: boolean): Promise<void> {
  const emulator: PortUse[] = emulatorIsOurs ? [['the AWS emulator', plan.emulator]] : [];
  const taken = await takenPorts([...emulator, ...portUses(plan)]);
  if (taken.length > 0)
    throw new LocalCloudError(
      `these ports are taken by another program, perhaps another npm start:\n` +
        `${taken.map(([what, port]) => `  ${HOST}:${port} (${what})`).join('\n')}\n` +
        'Stop it, or start beside it: --free-ports --state ANOTHER_DIRECTORY',
    );
}

type PortUse = [what: string, port: number];

const portUses = ({ dns, slots }: PortPlan): PortUse[] => [
  ['DNS', dns],
  ...[...slots].flatMap(([name, { sip, sipAdmin, health }]): PortUse[] => [
    [`SIP of ${name}`, sip],
    [`SIP server control of ${name}`, sipAdmin],
    [`health of ${name}`, health],
  ]),
];

async function takenPorts(uses: PortUse[]): Promise<PortUse[]> {
  const taken: PortUse[] = [];
  for (const use of uses) if (!(await isFree(use[1]))) taken.push(use);
  return taken;
}

/** Free for both UDP and TCP. */
async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (!server) return false;
  try {
    return await canBindUdp(port);
  } finally {
    await close(server);
  }
}

/** A TCP port that the system says is free. */
async function freePort(): Promise<number> {
  const server = (await listen(0)) as Server;
  const { port } = server.address() as AddressInfo;
  await close(server);
  return port;
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  try {
    server.listen({ port, host: HOST, exclusive: true });
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
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
