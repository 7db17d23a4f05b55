/**
 * The fleet that is simulated, as the slot plan of a deployment file: the worked example of the vendor's guide, three recorders of
 * 40/30/30 at the first priority and a backup behind them in another location, as often as asked for.
 */
import { MAX_SLOTS_PER_SERVICE, parseDeployment } from '../../core/deployment.ts';
import { type PlannedSlot, planSlots } from '../../core/slot-plan.ts';

/** Of a group of slots: the weight in the guide's example is the part of the work that the slot can do. */
const GROUP = [
  { region: 'us-east-1', weight: 40 },
  { region: 'us-east-1', weight: 30 },
  { region: 'us-east-1', weight: 30 },
  // The backup can carry all that the three do: a region that cannot carry another's load is no backup.
  { region: 'us-west-2', weight: 100 },
] as const;

const REGIONS = [
  { name: 'us-east-1', tier: 10 },
  { name: 'us-west-2', tier: 20 },
] as const;

const MAX_SLOT_CAPACITY = 10_000;

export interface SimulatedSlot {
  plan: PlannedSlot;
  /** By the guide, where it stays for ever. */
  staticWeight: number;
  /** Index of its SRV name. */
  name: number;
}

export interface Fleet {
  slots: SimulatedSlot[];
  /** SRV names; each has at most eight slots. */
  names: string[];
  regions: string[];
  /** Of all slots at the first priority, before anything is made smaller; in calls. */
  firstTierCapacity: number;
}

/** The fleet cannot be as large, or as small, as asked for. */
export class FleetSizeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FleetSizeError';
  }
}

/**
 * Plans a fleet.
 * @param slotCount a multiple of 4; every 8 share an SRV name
 * @param firstTierCapacity calls that the slots at the first priority hold together
 * @param sizeOf share of its regular capacity that the slot with this index has
 * @throws FleetSizeError
 */
export function planFleet(
  slotCount: number,
  firstTierCapacity: number,
  sizeOf: (slot: number) => number = () => 1,
): Fleet {
  if (slotCount < GROUP.length || slotCount % GROUP.length !== 0)
    throw new FleetSizeError(
      `${slotCount} slots: the example has groups of ${GROUP.length}, give a multiple`,
    );
  const perGroup = (firstTierCapacity * GROUP.length) / slotCount;
  if (perGroup > MAX_SLOT_CAPACITY || perGroup < 100)
    throw new FleetSizeError(
      `${Math.round(firstTierCapacity)} calls at the first priority on ${slotCount} slots: a backup would hold ` +
        `${Math.round(perGroup)} calls, and a slot of the plan holds at most ${MAX_SLOT_CAPACITY} ` +
        '(and fewer than 100 are noise): give another number of slots',
    );
  const all = Array.from({ length: slotCount }, (_, index) => {
    const member = GROUP[index % GROUP.length] as (typeof GROUP)[number];
    return {
      slot: `s${index}`,
      region: member.region,
      // The guide's backup is alone at its priority: its weight says nothing there.
      staticWeight: member.region === 'us-west-2' ? 10 : member.weight,
      callCapacity: Math.max(1, Math.round((perGroup * member.weight * sizeOf(index)) / 100)),
      service: `n${Math.floor(index / MAX_SLOTS_PER_SERVICE)}`,
    };
  });
  const names = [...new Set(all.map(({ service }) => service))];
  const deployment = parseDeployment(
    // JSON is YAML.
    JSON.stringify({
      name: 'simulation',
      account: '111122223333',
      dns: {
        zone: 'rec.example.com',
        services: names.map((name) => ({ name, transports: ['udp'] })),
      },
      regions: REGIONS.map((region) => ({
        ...region,
        slots: all
          .filter((slot) => slot.region === region.name)
          .map(({ slot, callCapacity, service }) => ({
            name: slot,
            zone: `${region.name}a`,
            callCapacity,
            services: [service],
          })),
      })),
      sources: [{ name: 'src', networks: ['198.51.100.0/24'] }],
      retention: { days: 30 },
      api: { auth: 'iam' },
    }),
    'fleet of the simulation',
  );
  const plans = new Map(planSlots(deployment).map((plan) => [plan.name, plan]));
  return {
    slots: all.map(({ slot, staticWeight, service }) => ({
      plan: plans.get(slot) as PlannedSlot,
      staticWeight,
      name: names.indexOf(service),
    })),
    names,
    regions: REGIONS.map(({ name }) => name),
    firstTierCapacity,
  };
}
