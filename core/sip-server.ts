/** How drachtio-server is started beside a recorder; the compose files of `recorder-image/` say the same. */
import { SIP_PORT, SIPS_PORT } from './slot-plan.ts';

/** Where it listens for the recorder: on loopback only. */
export const SIP_SERVER_HOST = '127.0.0.1';
export const SIP_SERVER_PORT = 9022;

/** Directory, in its container, of `cert.pem`, `key.pem` and `chain.pem`. */
export const CERTIFICATES_PATH = '/certificates';

/** No INVITE of BroadWorks (2.5 to 3.6 kB) is cut short by it. */
export const SIP_SERVER_ENVIRONMENT = { DRACHTIO_UDP_MTU: '65535' } as const;

/**
 * The command of drachtio-server's container.
 * @param publicAddress what Contact and Via name: the slot's address
 * @param tls whether it listens for SIP over TLS too
 */
export function sipServerCommand(publicAddress: string, tls: boolean): string[] {
  const contact = (uri: string) => ['--contact', uri, '--external-ip', publicAddress];
  return [
    'drachtio',
    ...contact(`sip:*:${SIP_PORT};transport=udp,tcp`),
    ...(tls
      ? [
          ...contact(`sips:*:${SIPS_PORT};transport=tls`),
          ...['--cert-file', `${CERTIFICATES_PATH}/cert.pem`, '--key-file', `${CERTIFICATES_PATH}/key.pem`],
          ...['--chain-file', `${CERTIFICATES_PATH}/chain.pem`, '--min-tls-version', '1.2'],
        ]
      : []),
    ...['--address', SIP_SERVER_HOST, '--port', String(SIP_SERVER_PORT), '--loglevel', 'notice'],
  ];
}
