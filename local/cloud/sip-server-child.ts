/**
 * The SIP server beside a recorder: drachtio-server where the machine has one (`DRACHTIO_SERVER`, or `drachtio` on the
 * PATH), otherwise the development SIP server of this repository.
 */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Child, nodeProgram, startChild } from './child.ts';
import { LocalCloudError } from './errors.ts';
import { HOST } from './ports.ts';

const DEVELOPMENT_SERVER = join(import.meta.dirname, '../sip-server/main.ts');
const READY_TIMEOUT_MS = 30_000;

export interface SipServerPlace {
  name: string;
  /** UDP and TCP. */
  sipPort: number;
  adminPort: number;
  secret: string;
  directory: string;
  logFile: string;
  appendLog?: boolean;
  /** Ends the start. */
  signal: AbortSignal;
}

/**
 * The drachtio-server to use; undefined for the development SIP server.
 * @throws LocalCloudError if `DRACHTIO_SERVER` names no program
 */
export function findDrachtio(environment: NodeJS.ProcessEnv): string | undefined {
  const named = environment.DRACHTIO_SERVER;
  if (named) {
    if (!isProgram(named))
      throw new LocalCloudError(
        `DRACHTIO_SERVER=${named} is no program: name the drachtio binary, or unset it to use the development SIP server.`,
      );
    return named;
  }
  return environment.PATH?.split(delimiter)
    .map((directory) => join(directory, 'drachtio'))
    .find(isProgram);
}

/** Starts a SIP server on loopback. */
export function startSipServerChild(
  drachtio: string | undefined,
  place: SipServerPlace,
): Promise<Child<true>> {
  const contact = `sip:${HOST}:${place.sipPort};transport=udp,tcp`;
  const name = `the SIP server of ${place.name}`;
  const { logFile, appendLog = false, signal } = place;
  const common = { name, logFile, appendLog, signal, readyTimeoutMs: READY_TIMEOUT_MS, env: process.env };
  if (drachtio)
    return startChild({
      ...common,
      command: [drachtio, '-f', writeDrachtioConfig(place, contact)],
      // The last line of its start, at level notice: by then it has its ports (drachtio-server 0.9, controller.cpp).
      ready: (line) => (line.includes('Starting sofia event loop') ? true : undefined),
    });
  return startChild({
    ...common,
    command: nodeProgram(DEVELOPMENT_SERVER, [
      ...['--contact', contact],
      ...['--address', HOST, '--port', String(place.adminPort), '--secret', place.secret],
    ]),
    ready: (line) => (line.includes('"ready":true') ? true : undefined),
  });
}

/** Its packaged configuration listens on all interfaces and logs everything. */
function writeDrachtioConfig(
  { directory, name, adminPort, secret }: SipServerPlace,
  contact: string,
): string {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${name}-drachtio.conf.xml`);
  writeFileSync(
    file,
    `<drachtio>
  <admin port="${adminPort}" secret="${secret}">${HOST}</admin>
  <sip>
    <contacts><contact>${contact}</contact></contacts>
    <udp-mtu>65535</udp-mtu>
  </sip>
  <logging><console/><loglevel>notice</loglevel></logging>
</drachtio>
`,
    { mode: 0o600 },
  );
  return file;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
