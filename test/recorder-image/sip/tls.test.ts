/** Calls over TLS, through the SIP server that ends it. */
import { header } from '../../../local/sip/message.ts';
import { type SipServer, startSipServer } from '../../../local/sip-server/server.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type LocalRecorder, REGION, SECRET, startTestRecorder } from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { Src } from '../../helpers/src.ts';
import { type Certificates, type Identity, makeCertificates } from '../../local/sip/certificates.ts';

const BUCKET = 'tls';

let certificates: Certificates;
let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let sipServer: SipServer;
let tlsPort: number;

beforeAll(async () => {
  certificates = makeCertificates();
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
  sipServer = await startSipServer({ secret: SECRET, sip: { tls: optionsOf(certificates.server) } });
  tlsPort = sipServer.tlsPort as number;
  recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET, sipServer });
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await recorder?.stop();
  await sipServer?.close();
  await emulator?.stop();
  certificates?.remove();
});

/** Shows its own certificate, and wants one of the authority from the other side. */
const optionsOf = ({ certificate, key }: Identity) => ({
  port: 0,
  certificate,
  key,
  ca: certificates.authority.certificate,
});

it('records a call of a client that shows its certificate', async () => {
  const src = await Src.start(tlsPort, optionsOf(certificates.client));
  try {
    const call = await src.call({ transport: 'tls' });
    const answer = await call.start();
    expect(header(answer, 'Contact')).toMatch(/^<sip:srs@127\.0\.0\.1:\d+;transport=tls>;\+sip\.srs$/);
    await call.speak();
    expect((await call.bye()).status).toBe(200);
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest.status).toBe('complete');
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  } finally {
    await src.close();
  }
});

it('answers a request to a sips: URI with a sips: Contact', async () => {
  const src = await Src.start(tlsPort, optionsOf(certificates.client));
  try {
    const call = await src.call({ transport: 'tls' });
    const invite = call.invite();
    const answer = await call.start({ ...invite, uri: invite.uri.replace(/^sip:/, 'sips:') });
    expect(header(answer, 'Contact')).toMatch(/^<sips:srs@/);
    await call.speak(5);
    await call.bye();
    await bucket.of(recorder, call);
  } finally {
    await src.close();
  }
});

it('gives nothing to a client whose certificate nobody knows', async () => {
  const src = await Src.start(tlsPort, optionsOf(certificates.stranger));
  try {
    const call = await src.call({ transport: 'tls' });
    expect(await call.send(call.invite()).outcome).toMatchObject({ kind: 'transport-error' });
  } finally {
    await src.close();
  }
});
