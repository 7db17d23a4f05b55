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
  isInService,
  SRV_LABELS,
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

/** What NAPTR calls each transport (RFC 3263 section 4.1), and which port is behind it. */
const SERVICES: Record<Transport, { naptr: string; port: keyof SlotPorts }> = {
  udp: { naptr: 'SIP+D2U', port: 'sip' },
  tcp: { naptr: 'SIP+D2T', port: 'sip' },
  tls: { naptr: 'SIPS+D2T', port: 'sips' },
};

/** The NAPTR records of one service: a record set with a value per transport. */
export interface NaptrRecordSet {
  /** The service's domain, absolute, without the closing dot. */
  name: string;
  /** As Route 53 writes them: `10 50 "s" "SIP+D2U" "" _sip._udp.siprec.rec.example.com.` */
  values: string[];
  ttlSeconds: number;
}

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
  const services = deployment.dns.services.filter(({ name }) => isInService(slot, name));
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

/**
 * NAPTR records of the services that want them. They say which transports there are and which is liked best, not who is
 * alive: that is for the SRV records that they name.
 */
export function planNaptr(deployment: Deployment): NaptrRecordSet[] {
  return deployment.dns.services
    .filter(({ naptr }) => naptr)
    .map((service) => ({
      name: serviceDomain(deployment, service.name),
      // The lowest order whose transport the SRC has is the one that it must take (RFC 3263 section 4.1).
      values: service.transports.map(
        (transport, index) =>
          `${10 * (index + 1)} 50 "s" "${SERVICES[transport].naptr}" "" ${srvName(deployment, service.name, transport)}.`,
      ),
      ttlSeconds: ADDRESS_TTL_SECONDS,
    }));
}

/** The name that a BroadWorks administrator enters as the recording platform, with the port left empty. */
export const serviceDomain = (deployment: Deployment, serviceName: string): string =>
  `${serviceName}.${deployment.dns.zone}`;

/** RFC 2782 name of a service, such as `_sip._udp.siprec.rec.example.com`. */
export const srvName = (deployment: Deployment, serviceName: string, transport: Transport): string =>
  `${SRV_LABELS[transport]}.${serviceDomain(deployment, serviceName)}`;

/** Names of a region's slots, in the file's order. */
export const slotsOfRegion = ({ regions }: Deployment, region: string): string[] =>
  regions.filter(({ name }) => name === region).flatMap(({ slots }) => slots.map(({ name }) => name));

/**
 * The SRV names that a region's slots are in, with those slots: what steering of that region may change.
 */
export function srvNamesOfRegion(plan: readonly PlannedSlot[], region: string): Record<string, string[]> {
  const records = plan.filter((slot) => slot.region === region).flatMap(({ srvRecords }) => srvRecords);
  return Object.fromEntries(
    [...Map.groupBy(records, ({ name }) => name)].map(([name, group]) => [
      name,
      group.map(({ setIdentifier }) => setIdentifier),
    ]),
  );
}
