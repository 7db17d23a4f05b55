/** What a slot's instance does at its first boot: puts the files of `infra/host/` in their places, and starts them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FILES = join(import.meta.dirname, '../host');
const SCRIPTS = '/opt/siprec-ha';
const UNITS = '/etc/systemd/system';

/** Where each file goes, and its mode. */
const PLACES: [file: string, place: string, mode: string][] = [
  ['functions.sh', `${SCRIPTS}/functions.sh`, '644'],
  ['start-slot.sh', `${SCRIPTS}/start-slot.sh`, '755'],
  ['watch-slot.sh', `${SCRIPTS}/watch-slot.sh`, '755'],
  ['siprec-slot.service', `${UNITS}/siprec-slot.service`, '644'],
  ['siprec-slot-watch.service', `${UNITS}/siprec-slot-watch.service`, '644'],
  ['ecs-after-slot.conf', `${UNITS}/ecs.service.d/siprec-slot.conf`, '644'],
];

/** EC2 takes so much, before base64. */
export const MAX_USER_DATA_BYTES = 16_384;

/** What the scripts read from `slot.env`; `infra/host/functions.sh` has defaults for all else. */
export interface HostSettings {
  SLOT: string;
  AWS_REGION: string;
  VOLUME_ID: string;
  ALLOCATION_ID: string;
  /** Of ECS, with the attribute by which the slot's service finds this instance. */
  CLUSTER: string;
  SLOT_ATTRIBUTE: string;
  /** Of CloudFormation, for its signal. */
  STACK: string;
  GROUP_LOGICAL_ID: string;
  /** Of Auto Scaling. */
  GROUP_NAME: string;
  HOOK: string;
  /** Seconds that ECS gives a recorder from SIGTERM to SIGKILL. */
  STOP_SECONDS: string;
  /** Ports that no outgoing connection is to take, as `ip_local_reserved_ports` wants them. */
  RESERVED_PORTS: string;
  /** Uid and gid of the recorder. */
  SPOOL_OWNER: string;
  LOG_GROUP: string;
  METRICS_NAMESPACE: string;
  FAILURE_METRIC: string;
  HUNG_METRIC: string;
  /** Prefix of the secrets with the certificate of SIP over TLS; without it there is none. */
  TLS_SECRET?: string;
}

/** The script for EC2. */
export function hostUserData(settings: HostSettings): string {
  const environment = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return [
    '#!/bin/bash',
    `mkdir -p ${SCRIPTS} ${UNITS}/ecs.service.d /etc/siprec-ha /run/siprec-ha/certificates`,
    ...file('/etc/siprec-ha/slot.env', '644', environment.join('\n')),
    ...PLACES.flatMap(([name, place, mode]) =>
      file(place, mode, readFileSync(join(FILES, name), 'utf8').trimEnd()),
    ),
    'systemctl daemon-reload',
    'systemctl enable siprec-slot siprec-slot-watch',
    // ECS itself is started by the slot: a start that waited here would wait for the end of this script.
    'systemctl start --no-block siprec-slot siprec-slot-watch',
    '',
  ].join('\n');
}

const END = 'END-OF-FILE';

const file = (place: string, mode: string, text: string): string[] => [
  `cat >${place} <<'${END}'`,
  text,
  END,
  `chmod ${mode} ${place}`,
];
