/**
 * The slot plan: every slot's addresses and DNS records, derived from the deployment file.
 *
 * The stacks and the local cloud build from the same plan, so that what is tested is what is deployed.
 * One multivalue SRV record per slot, transport and service, each with the slot's own health check: a dead
 * recorder leaves DNS by the health check alone, without any control plane (DESIGN.md 4.1).
 */
import {
  type Deployment,
  type DeploymentRegion,
  type DeploymentSlot,
  slotsOfService,
  type Transport,
} from './deployment.ts';

/** Ports of a recorder in production: everyone's own host, so they are the same on each. */
export const SIP_PORT = 5060;
export const SIPS_PORT = 5061;
export const HEALTH_PORT = 8080;
export const HEALTH_PATH = '/healthz';

/** Seconds. An SRC forgets a dead slot within interval x threshold + TTL. */
export const SRV_TTL_SECONDS = 30;
export const ADDRESS_TTL_SECONDS = 300;

/** SRV weights are 16 bit and in units of calls (DESIGN.md 4.2). */
const MAX_WEIGHT = 65_535;

export interface SlotHealthCheck {
  port: number;
  path: string;
  intervalSeconds: 10;
  failureThreshold: 2;
}

/** One SRV record of a slot; `name` and `target` are absolute, without the closing dot. */
export interface SlotSrvRecord {
  name: string;
  setIdentifier: string;
  priority: number;
  weight: number;
  port: number;
  target: string;
  ttlSeconds: number;
}

export interface PlannedSlot {
  name: string;
  region: string;
  zone: string;
  callCapacity: number;
  /** Host name of the slot's A record. */
  host: string;
  healthCheck: SlotHealthCheck;
  srvRecords: SlotSrvRecord[];
}

/** Where one slot listens, for those who do not run on a host of their own (the local cloud). */
export interface SlotPorts {
  /** UDP and TCP. */
  sip: number;
  /** TLS. */
  sips: number;
  health: number;
}

const PRODUCTION_PORTS: SlotPorts = { sip: SIP_PORT, sips: SIPS_PORT, health: HEALTH_PORT };

/** RFC 3263 section 4.2: what an SRC asks for, and which port is behind it. */
const SERVICES: Record<Transport, { label: string; port: keyof SlotPorts }> = {
  udp: { label: '_sip._udp', port: 'sip' },
  tcp: { label: '_sip._tcp', port: 'sip' },
  tls: { label: '_sips._tcp', port: 'sips' },
};

/**
 * Plans every slot of a deployment, in the file's order.
 * @param portsOf ports per slot name; production's when absent
 */
export function planSlots(
  deployment: Deployment,
  portsOf: (slotName: string) => SlotPorts = () => PRODUCTION_PORTS,
): PlannedSlot[] {
  return deployment.regions.flatMap((region) =>
    region.slots.map((slot) => planSlot(deployment, region, slot, portsOf(slot.name))),
  );
}

function planSlot(
  deployment: Deployment,
  region: DeploymentRegion,
  slot: DeploymentSlot,
  ports: SlotPorts,
): PlannedSlot {
  const host = `${slot.name}.${deployment.dns.zone}`;
  const services = deployment.dns.services.filter(({ name }) =>
    slotsOfService(deployment, name).some((member) => member.slot.name === slot.name),
  );
  return {
    name: slot.name,
    region: region.name,
    zone: slot.zone,
    callCapacity: slot.callCapacity,
    host,
    healthCheck: { port: ports.health, path: HEALTH_PATH, intervalSeconds: 10, failureThreshold: 2 },
    srvRecords: services.flatMap((service) =>
      service.transports.map((transport) => ({
        name: srvName(deployment, service.name, transport),
        setIdentifier: slot.name,
        priority: region.tier,
        weight: Math.min(slot.callCapacity, MAX_WEIGHT),
        port: ports[SERVICES[transport].port],
        target: host,
        ttlSeconds: SRV_TTL_SECONDS,
      })),
    ),
  };
}

/** The name that a BroadWorks administrator enters as the recording platform, with the port left empty. */
export const serviceDomain = (deployment: Deployment, serviceName: string): string =>
  `${serviceName}.${deployment.dns.zone}`;

/** RFC 2782 name of a service, such as `_sip._udp.siprec.rec.example.com`. */
export const srvName = (deployment: Deployment, serviceName: string, transport: Transport): string =>
  `${SERVICES[transport].label}.${serviceDomain(deployment, serviceName)}`;
