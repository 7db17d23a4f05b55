/** Certificates for tests of TLS, made anew with openssl: an authority, what it has signed, and a stranger. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM, and the files they stand in. */
export interface Identity {
  certificate: string;
  key: string;
  certificateFile: string;
  keyFile: string;
}

export interface Certificates {
  authority: Identity;
  /** For 127.0.0.1, signed by the authority. */
  server: Identity;
  /** For 127.0.0.1, signed by the authority. */
  client: Identity;
  /** For 127.0.0.1, signed by itself. */
  stranger: Identity;
  /** For 127.0.0.2, signed by the authority. */
  elsewhere: Identity;
  remove(): void;
}

const CONFIGURATION = `
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[end]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:$ENV::HOST_ADDRESS
`;

/** @throws Error that names the package, if there is no openssl */
export function makeCertificates(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-certificates-'));
  const configuration = join(directory, 'openssl.cnf');
  writeFileSync(configuration, CONFIGURATION);
  const make = (
    name: string,
    extensions: string,
    hostAddress = '127.0.0.1',
    signedBy?: Identity,
  ): Identity => {
    const [certificateFile, keyFile] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)];
    openssl(hostAddress, [
      ...['req', '-x509', '-config', configuration, '-extensions', extensions, '-subj', `/CN=${name}`],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-out', certificateFile, '-keyout', keyFile],
      ...(signedBy ? ['-CA', signedBy.certificateFile, '-CAkey', signedBy.keyFile] : []),
    ]);
    const read = (file: string) => readFileSync(file, 'utf8');
    return { certificate: read(certificateFile), key: read(keyFile), certificateFile, keyFile };
  };
  const authority = make('authority', 'authority');
  return {
    authority,
    server: make('server', 'end', '127.0.0.1', authority),
    client: make('client', 'end', '127.0.0.1', authority),
    stranger: make('stranger', 'end'),
    elsewhere: make('elsewhere', 'end', '127.0.0.2', authority),
    remove: () => rmSync(directory, { recursive: true }),
  };
}

function openssl(hostAddress: string, args: readonly string[]): void {
  try {
    execFileSync('openssl', args, { stdio: 'pipe', env: { ...process.env, HOST_ADDRESS: hostAddress } });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw missing
      ? new Error('the tests of TLS need the openssl program: install the Debian package openssl')
      : error;
  }
}
