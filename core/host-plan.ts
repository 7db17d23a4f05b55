/** What the host of a slot is made of: sizes that follow from the calls that the slot takes. */
import type { Deployment, DeploymentSlot } from './deployment.ts';

/**
 * One vCPU receives and stores some 3,000 calls of two G.711 streams (measured, bare reception). A recorder also signals,
 * decrypts, assembles what it recorded and reads it again for S3, and must not be late when another slot's calls come to it: a
 * twelfth of that is what a vCPU is given.
 */
const CALLS_PER_VCPU = 250;
/** A thread that receives is kept to a third of what it can. */
const CALLS_PER_MEDIA_WORKER = 1_000;

/** Sizes of an EC2 family, with what each has; the default family is Graviton's, without bursts. */
const DEFAULT_FAMILY = 'c7g';
const SIZES = ['large', 'xlarge', '2xlarge', '4xlarge', '8xlarge', '12xlarge'];

/**
 * A call writes 1.3 MB a minute into its journals, and as much again, at most, from its assembly until S3 has it: so many GiB
 * per call are two hours without S3, with every call taken.
 */
const SPOOL_GIB_PER_CALL = 0.27;
const MIN_SPOOL_GIB = 20;
const RESERVED_SHARE = 0.05;
const MIB_PER_GIB = 1_024;

/** gp3 (EBS user guide): 125 to 1,000 MiB/s, 3,000 to 16,000 IOPS, and 4 IOPS for each MiB/s. */
const GP3 = { minThroughput: 125, maxThroughput: 1_000, minIops: 3_000, iopsPerThroughput: 4 };
/** MiB/s for each call: journals, assembly and upload of a call are 0.07 at the most. */
const THROUGHPUT_PER_CALL = 0.1;

/** What a slot's host counts, by slot (`SLOT_DIMENSION`): it could not start, or a recorder that hung was killed. */
export const HOST_METRICS = { startFailures: 'SlotStartFailures', hungRecorders: 'HungRecorders' } as const;

export interface HostPlan {
  /** Of EC2. */
  instanceType: string;
  /** Threads that receive media. */
  mediaWorkers: number;
  spool: {
    gib: number;
    /** Kept free, for recordings to be finished in: see docs/recorder-operations.md. */
    reserveMib: number;
    iops: number;
    /** MiB/s */
    throughput: number;
  };
}

/** What the deployment file says of all hosts; the rest follows from each slot's capacity. */
export type HostOptions = Deployment['recorders'];

/** Plans the host of a slot. */
export function planHost(
  { callCapacity }: Pick<DeploymentSlot, 'callCapacity'>,
  options: HostOptions,
): HostPlan {
  const instanceType = options.instanceType ?? smallestInstance(callCapacity);
  const throughput = clamp(
    Math.ceil(callCapacity * THROUGHPUT_PER_CALL),
    GP3.minThroughput,
    GP3.maxThroughput,
  );
  const gib = options.spoolGiB ?? Math.max(Math.ceil(callCapacity * SPOOL_GIB_PER_CALL), MIN_SPOOL_GIB);
  return {
    instanceType,
    mediaWorkers: clamp(Math.ceil(callCapacity / CALLS_PER_MEDIA_WORKER), 1, vcpusOf(instanceType) - 1),
    spool: {
      gib,
      reserveMib: Math.floor(gib * MIB_PER_GIB * RESERVED_SHARE),
      iops: Math.max(throughput * GP3.iopsPerThroughput, GP3.minIops),
      throughput,
    },
  };
}

function smallestInstance(callCapacity: number): string {
  const types = SIZES.map((size) => `${DEFAULT_FAMILY}.${size}`);
  const enough = types.find((type) => vcpusOf(type) * CALLS_PER_VCPU >= callCapacity);
  return enough ?? (types.at(-1) as string);
}

/** By the name, which in all families of today says it: `large` has 2, `xlarge` 4, `4xlarge` 16. */
function vcpusOf(instanceType: string): number {
  const size = instanceType.split('.')[1] ?? '';
  const times = /^(\d*)xlarge$/.exec(size)?.[1];
  return times === undefined ? 2 : 4 * Number(times || 1);
}

const clamp = (value: number, min: number, max: number): number => Math.min(Math.max(value, min), max);

/**
 * The subnet of an availability zone: a sixteenth of the VPC's range, by the zone's letter, whatever other zones are in use.
 * @param vpcCidr IPv4, /16 to /24
 */
export function zoneCidr(vpcCidr: string, zone: string): string {
  const [address = '', length] = vpcCidr.split('/');
  const bits = Number(length) + 4;
  const index = zone.charCodeAt(zone.length - 1) - 'a'.charCodeAt(0);
  const first =
    address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + index * 2 ** (32 - bits);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${bits}`;
}
