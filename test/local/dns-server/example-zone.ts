import type { RecordSet, Zone } from '../../../local/dns-server/zone.ts';

export const SERVICE = '_sip._udp.siprec.rec.example.com';

export const healthy = () => 'healthy' as const;

/** One multivalue SRV record, with its own health check unless told otherwise. */
export function slotRecord(slot: string, healthCheckId: string | undefined = `check-${slot}`): RecordSet {
  return {
    name: SERVICE,
    type: 'SRV',
    ttlSeconds: 30,
    values: [{ priority: 10, weight: 100, port: 5060, target: `${slot}.rec.example.com` }],
    multivalue: { setIdentifier: slot, ...(healthCheckId && { healthCheckId }) },
  };
}

export function slotAddress(slot: string, address: string): RecordSet {
  return { name: `${slot}.rec.example.com`, type: 'A', ttlSeconds: 300, values: [address] };
}

/** rec.example.com with the given records beside its SOA and NS. */
export function exampleZone(...recordSets: RecordSet[]): Zone {
  return {
    origin: 'rec.example.com',
    recordSets: [
      {
        name: 'rec.example.com',
        type: 'SOA',
        ttlSeconds: 900,
        values: [
          {
            mname: 'ns1.example.net',
            rname: 'hostmaster.example.net',
            serial: 1,
            refresh: 7200,
            retry: 900,
            expire: 1_209_600,
            minimum: 60,
          },
        ],
      },
      {
        name: 'rec.example.com',
        type: 'NS',
        ttlSeconds: 172_800,
        values: ['ns1.example.net', 'ns2.example.net'],
      },
      ...recordSets,
    ],
  };
}
