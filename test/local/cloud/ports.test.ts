import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import {
  type ClaimedPorts,
  checkPorts,
  claimPorts,
  fixedPorts,
  HOST,
  type PortPlan,
} from '../../../local/cloud/ports.ts';

const SLOTS = ['use1-1', 'use1-2', 'usw2-1', 'usw2-2'];

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function claim(emulator?: number): Promise<PortPlan> {
  const claimed: ClaimedPorts = await claimPorts(SLOTS, emulator);
  open.push(claimed.release);
  return claimed.plan;
}

async function occupyTcp(port: number): Promise<void> {
  const server = createServer().listen(port, HOST);
  await once(server, 'listening');
  open.push(() => new Promise((resolve) => server.close(resolve)));
}

async function occupyUdp(port: number): Promise<void> {
  const socket = createSocket('udp4').bind(port, HOST);
  await once(socket, 'listening');
  open.push(() => new Promise<void>((resolve) => socket.close(resolve)));
}

/** All single ports, and both ends of every RTP range. */
const allPorts = ({ emulator, dns, slots }: PortPlan): number[] => [
  emulator,
  dns,
  ...[...slots.values()].flatMap(({ sip, sipAdmin, health, rtp }) => [
    sip,
    sipAdmin,
    health,
    rtp.min,
    rtp.max,
  ]),
];

describe('fixed ports', () => {
  it('are the same every time, each once', () => {
    const plan = fixedPorts(SLOTS);
    expect(plan).toEqual(fixedPorts(SLOTS));
    expect(plan).toMatchObject({ emulator: 4566, dns: 5053 });
    expect(plan.slots.get('use1-1')).toEqual({
      sip: 5060,
      sipAdmin: 9022,
      health: 8080,
      rtp: { min: 20_000, max: 21_999 },
    });
    expect(new Set(allPorts(plan)).size).toBe(allPorts(plan).length);
  });

  it("keep the port of the emulator's state", () => {
    expect(fixedPorts(SLOTS, 4599).emulator).toBe(4599);
  });
});

describe('claimed ports', () => {
  it('are all different, with RTP ranges that begin even and do not overlap', async () => {
    const plan = await claim();
    const ports = allPorts(plan);
    expect(new Set(ports).size).toBe(ports.length);
    const ranges = [...plan.slots.values()].map(({ rtp }) => rtp);
    for (const [i, { min, max }] of ranges.entries()) {
      expect(min % 2).toBe(0);
      expect(max - min).toBeGreaterThan(400);
      expect(min).toBeGreaterThan(ranges[i - 1]?.max ?? plan.dns);
    }
    await checkPorts(plan, true);
  });

  it('belong to one claim at a time', async () => {
    const [one, other] = [await claim(), await claim()];
    const span = (plan: PortPlan) => allPorts({ ...plan, emulator: plan.dns });
    expect(Math.min(...span(other))).toBeGreaterThan(Math.max(...span(one)));
    for (const close of open.splice(0)) await close();
    expect((await claim()).dns).toBe(one.dns);
  });

  it('lie in a block where nobody listens', async () => {
    const plan = await claim();
    for (const close of open.splice(0)) await close();
    await occupyUdp(plan.dns);
    expect((await claim()).dns).not.toBe(plan.dns);
  });

  it("keep the port of the emulator's state", async () => {
    expect((await claim(34_567)).emulator).toBe(34_567);
  });

  it('run out, and that is said', async () => {
    const claims = async () => {
      for (;;) await claim();
    };
    await expect(claims()).rejects.toThrow(/no block of 2000 ports from 10000 to 19999 is free/);
  });
});

describe('checkPorts', () => {
  it('names every port that is taken, over TCP or UDP, with its use', async () => {
    const plan = await claim();
    const slot = plan.slots.get('usw2-1') as { sip: number; health: number };
    await occupyUdp(slot.sip);
    await occupyTcp(slot.health);
    await occupyTcp(plan.emulator);
    const checking = checkPorts(plan, true);
    await expect(checking).rejects.toThrow(`127.0.0.1:${plan.emulator} (the AWS emulator)`);
    await expect(checking).rejects.toThrow(`127.0.0.1:${slot.sip} (SIP of usw2-1)`);
    await expect(checking).rejects.toThrow(`127.0.0.1:${slot.health} (health of usw2-1)`);
    await expect(checking).rejects.toThrow('--free-ports --state');
    await expect(checking).rejects.not.toThrow('(DNS)');
  });

  it("does not want the emulator's port when the emulator is somebody else's", async () => {
    const plan = await claim();
    await occupyTcp(plan.emulator);
    await checkPorts(plan, false);
    await expect(checkPorts(plan, true)).rejects.toThrow('the AWS emulator');
  });
});
