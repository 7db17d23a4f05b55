/**
 * TLS under SIP (RFC 3261 26.2.1), 1.2 or later (RFC 8996 retires 1.0 and 1.1): what both directions of a transport
 * show of themselves and whom they trust.
 */
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls';

export interface TlsOptions {
  /** Local port; 0 lets the system choose. */
  port: number;
  /** Our certificate, its chain after it, and its key: PEM. Shown to whoever connects, and where we connect. */
  certificate: string;
  key: string;
  /**
   * The authorities that are trusted, PEM. With them, only who shows a certificate of theirs may connect (mutual
   * authentication). Without, nobody who connects is asked, and where we connect the system's authorities count.
   */
  ca?: string;
}

const MIN_VERSION = 'TLSv1.2';

/** A server that is not listening yet. @throws the system's error if certificate or key cannot be used */
export const createTlsServer = ({ certificate, key, ca }: TlsOptions): Server =>
  createServer({
    cert: certificate,
    key,
    minVersion: MIN_VERSION,
    noDelay: true,
    ...(ca !== undefined && { ca, requestCert: true, rejectUnauthorized: true }),
  });

/** `localAddress` is left out of the types of `node:tls`, which hands it on to `node:net`. */
interface Destination {
  host: string;
  port: number;
  localAddress: string;
}

/** A connection under way. It fails unless the certificate of the other end is trusted and made for this host. */
export function connectTls({ certificate, key, ca }: TlsOptions, destination: Destination): TLSSocket {
  const options: ConnectionOptions & Destination = {
    ...destination,
    cert: certificate,
    key,
    minVersion: MIN_VERSION,
    ...(ca !== undefined && { ca }),
  };
  return connect(options).setNoDelay(true);
}
