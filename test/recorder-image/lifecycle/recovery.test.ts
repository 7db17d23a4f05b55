/** What dies, and what becomes of the recordings that it was working on. */
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SipServer, startSipServer } from '../../../local/sip-server/server.ts';
import { Spool } from '../../../recorder-image/src/storage/spool.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import {
  HOST,
  type LocalRecorder,
  REGION,
  type RecorderProcess,
  SECRET,
  startRecorderProcess,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';
import { leaveRecording } from '../storage/support.ts';

const BUCKET = 'recovered';
const ORPHAN_SILENCE_MS = 300;

let emulator: TestEmulator;
let bucket: RecordingsBucket;
const closers: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const s3 = () => ({ endpoint: emulator.endpoint, bucket: BUCKET });

async function sipServer({ sip = 0, admin = 0, t1Ms = 500 } = {}): Promise<SipServer> {
  const server = await startSipServer({ secret: SECRET, sip: { port: sip }, admin: { port: admin }, t1Ms });
  closers.push(() => server.close());
  return server;
}

async function srcOf({ sipPort }: Pick<SipServer, 'sipPort'>): Promise<Src> {
  const src = await Src.start(sipPort);
  closers.push(() => src.close());
  return src;
}

async function localRecorder(options: Parameters<typeof startTestRecorder>[0]): Promise<LocalRecorder> {
  const recorder = await startTestRecorder({ ...s3(), orphanSilenceMs: ORPHAN_SILENCE_MS, ...options });
  closers.push(() => recorder.stop());
  return recorder;
}

function temporarySpool(): string {
  const spool = mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
  closers.push(() => rmSync(spool, { recursive: true, force: true }));
  return spool;
}

describe('a recorder that is killed in the middle of a call', () => {
  it('leaves a recording that its successor finishes, up to the last second', async () => {
    const server = await sipServer();
    const spool = temporarySpool();
    const victim = await startRecorderProcess({ ...s3(), spool, sipServer: server });
    closers.push(() => victim.stop());
    const call = await (await srcOf(server)).call();
    await call.start();
    await call.speak(50);
    const { recordingId } = await victim.logs.find('recording started');
    const journals = ['stream-1.rtpdump', 'stream-2.rtpdump'].map((name) =>
      join(spool, recordingId as string, name),
    );
    await until(() => journals.every((journal) => statSync(journal).size > 50 * 180)); // of all packets
    await victim.kill();

    const successor = await localRecorder({ spool, sipServer: server });
    await successor.logs.find('recording is in S3', { recordingId });
    const recording = await bucket.read(recordingId as string);
    expect(recording.manifest).toMatchObject({
      status: 'recovered',
      session: { sipCallId: call.facts.sipCallId, endedBy: 'crash' },
      participants: [{ number: call.facts.recordedUser.number }, { number: call.facts.other.number }],
      streams: [
        { packets: 50, lostPackets: 0 },
        { packets: 50, lostPackets: 0 },
      ],
    });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
    expect(successor.spooled()).toEqual([]);
  });
});

describe('a recorder that is killed and started again while the media goes on', () => {
  /** Of one call: it has spoken, and both sides have told it to the disk. */
  async function spokenTo(victim: RecorderProcess, call: SrcCall): Promise<string> {
    await call.speak(50);
    const { recordingId } = await victim.logs.find('recording started', { sipCallId: call.facts.sipCallId });
    const directory = join(victim.spool, recordingId as string);
    const journals = ['stream-1.rtpdump', 'stream-2.rtpdump'].map((name) => join(directory, name));
    await until(() => journals.every((journal) => statSync(journal).size > 50 * 180));
    return recordingId as string;
  }

  it('goes on with the recording until its media ends; only the time between is missing', async () => {
    const server = await sipServer();
    const spool = temporarySpool();
    const victim = await startRecorderProcess({ ...s3(), spool, sipServer: server });
    closers.push(() => victim.stop());
    const call = await (await srcOf(server)).call();
    await call.start();
    const recordingId = await spokenTo(victim, call);
    await victim.kill();
    appendFileSync(join(spool, recordingId, 'session.jsonl'), '{"type":"off'); // cut off by the crash
    for (const speaker of call.speakers) speaker.lose(25);

    const successor = await localRecorder({ spool, sipServer: server, orphanSilenceMs: 2_000 });
    expect((await successor.health('/status')).body).toMatchObject({ activeRecordings: 1 });
    await call.speak(50);
    await successor.logs.find('recording is in S3', { recordingId });
    const { manifest } = await bucket.read(recordingId);
    const stream = { packets: 100, lostPackets: 25, gaps: [{ cause: 'crash' }] };
    expect(manifest).toMatchObject({
      status: 'recovered',
      session: { endedBy: 'crash' },
      streams: [stream, stream],
      warnings: [{ code: 'recorder-restarted' }],
    });
    // What is there is where it belongs: half a second is missing, and no more.
    for (const { gaps } of manifest.streams)
      expect((gaps[0]?.toMs as number) - (gaps[0]?.fromMs as number)).toBeCloseTo(500, 0);
    expect(successor.spooled()).toEqual([]);
  });

  it('does not take for the call what a stranger sends to its port', async () => {
    const server = await sipServer();
    const spool = temporarySpool();
    const victim = await startRecorderProcess({ ...s3(), spool, sipServer: server });
    closers.push(() => victim.stop());
    const src = await srcOf(server);
    const call = await src.call();
    await call.start();
    const recordingId = await spokenTo(victim, call);
    await victim.kill();

    const successor = await localRecorder({ spool, sipServer: server });
    const stranger = await src.speaker('pcmu', [700]);
    stranger.destination = call.speakers[0]?.destination;
    await stranger.send(10);
    await successor.logs.find('recording is in S3', { recordingId });
    expect((await bucket.read(recordingId)).manifest).toMatchObject({
      status: 'recovered',
      streams: [{ packets: 50, foreignPackets: 10 }, { packets: 50 }],
    });
  });

  it('takes new calls beside it, on other ports', async () => {
    const server = await sipServer();
    const spool = temporarySpool();
    const victim = await startRecorderProcess({ ...s3(), spool, sipServer: server });
    closers.push(() => victim.stop());
    const src = await srcOf(server);
    const old = await src.call();
    await old.start();
    await spokenTo(victim, old);
    await victim.kill();

    const successor = await localRecorder({ spool, sipServer: server, orphanSilenceMs: 60_000 });
    const call = await src.call();
    await call.start();
    const ports = [...old.speakers, ...call.speakers].map(({ destination }) => destination?.port);
    expect(new Set(ports).size).toBe(4);
    await call.speak(50);
    await call.bye();
    expect((await bucket.of(successor, call)).manifest.status).toBe('complete');
    await successor.drain(0); // ends the other one, too
    expect(successor.logs.lines.filter(({ msg }) => msg === 'recording ended')).toHaveLength(2);
  });
});

describe('a recorder that finds recordings in its spool', () => {
  it('finishes those that it can, sets the others aside, and takes calls', async () => {
    const spool = temporarySpool();
    const good = await leaveRecording(new Spool(spool));
    const unusable = await leaveRecording(new Spool(spool));
    writeFileSync(join(unusable.directory, 'session.jsonl'), '{"type":"op');
    const server = await sipServer();
    const recorder = await localRecorder({ spool, sipServer: server });
    const call = await (await srcOf(server)).call();
    await call.start();
    await recorder.logs.find('recording is in S3', { recordingId: good.id });
    await recorder.logs.find('recording cannot be finished; set aside');
    expect((await bucket.read(good.id)).manifest.status).toBe('complete');
    expect(readdirSync(join(spool, 'unusable'))).toEqual([unusable.id]);
    await call.bye();
    await bucket.of(recorder, call);
    expect(recorder.spooled()).toEqual(['unusable']);
  });
});

describe('an S3 that is away when a call ends', () => {
  it('gets the recording when it is back', async () => {
    const later = new RecordingsBucket(emulator.s3(REGION), 'later');
    const recorder = await localRecorder({ bucket: later.name, retryDelays: { firstMs: 20, lastMs: 20 } });
    const call = await (await srcOf(recorder.sipServer)).call();
    await call.start();
    await call.speak();
    await call.bye();
    await recorder.logs.find('recording not finished; it stays in the spool', { tries: 2 });
    expect(recorder.spooled()).toHaveLength(1);
    expect((await recorder.health('/healthz')).status).toBe(200); // which is not this recorder's fault
    await later.create();
    expect((await later.of(recorder, call)).manifest.status).toBe('complete');
    expect(recorder.spooled()).toEqual([]);
  });
});

describe('a SIP server that dies in the middle of a call', () => {
  it('ends the recording when its media ends, and is used again when it is back', async () => {
    const server = await sipServer();
    const recorder = await localRecorder({ sipServer: server });
    const src = await srcOf(server);
    const call = await src.call();
    await call.start();
    await call.speak(25);
    await server.close();
    await recorder.logs.find('SIP server lost; running recordings go on until their media ends');
    await recorder.logs.find('SIP server cannot be used');
    expect(await recorder.health('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['sip-server-gone'] },
    });
    await call.speak(25);
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the end of the call was not signalled'],
      session: { endedBy: 'sip-server-lost' },
      streams: [{ packets: 50 }, { packets: 50 }],
    });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);

    await sipServer({ sip: server.sipPort, admin: server.adminPort });
    await until(async () => (await recorder.health('/healthz')).status === 200);
    const next = await src.call();
    await next.start();
    await next.speak();
    await next.bye();
    expect((await bucket.of(recorder, next)).manifest.status).toBe('complete');
  });

  it('and is back before anybody has noticed', async () => {
    const server = await sipServer();
    const recorder = await localRecorder({ sipServer: server });
    const call = await (await srcOf(server)).call();
    await call.start();
    await call.speak();
    await server.close();
    await sipServer({ sip: server.sipPort, admin: server.adminPort });
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest.session.endedBy).toBe('sip-server-lost');
    await until(async () => (await recorder.health('/healthz')).status === 200);
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
  });

  it('before the INVITE is answered, which leaves nothing', async () => {
    const server = await sipServer();
    const recorder = await localRecorder({ sipServer: server });
    const src = await srcOf(server);
    const call = await src.call();
    const transaction = call.send(call.invite(), () => void server.close());
    await recorder.logs.find('INVITE refused', { sipCallId: call.facts.sipCallId });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
    expect(recorder.spooled()).toEqual([]);
    transaction.cancel();
  });

  it('does not keep the recorder from stopping', async () => {
    const server = await sipServer();
    const recorder = await localRecorder({ sipServer: server });
    await server.close();
    await recorder.logs.find('SIP server cannot be used');
    await recorder.drain(60_000);
    expect(await recorder.logs.find('stopped')).toBeDefined();
  });
});

describe('a connection to the SIP server that breaks while it sends an answer', () => {
  it('does not end the recording, for the SRC may have the answer', async () => {
    const server = await sipServer();
    const proxyPort = await breakAfterFirstAnswer(server.adminPort);
    const recorder = await localRecorder({
      sipServer: server,
      variables: { DRACHTIO_PORT: String(proxyPort) },
    });
    const call = await (await srcOf(server)).call();
    await call.start();
    await call.speak();
    const { recordingId } = await recorder.logs.find('recording ended', { endedBy: 'sip-server-lost' });
    await recorder.logs.find('recording is in S3', { recordingId });
    expect((await bucket.read(recordingId as string)).manifest).toMatchObject({
      status: 'partial',
      streams: [{ packets: 50 }, { packets: 50 }],
    });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
    await recorder.drain(60_000);
  });
});

type Relay = (chunk: Buffer, to: Socket, both: readonly Socket[]) => void;

/** A way to the SIP server, with what becomes of the bytes in either direction. */
async function relayTo(adminPort: number, fromApp: Relay, fromServer: Relay): Promise<number> {
  const open = new Set<Socket>();
  const proxy = createServer((app) => {
    const server = connect(adminPort, HOST);
    const both = [app, server];
    for (const socket of both) {
      open.add(socket);
      socket.on('error', () => {}); // reset by the cut
    }
    app.on('data', (chunk) => fromApp(chunk, server, both));
    server.on('data', (chunk) => fromServer(chunk, app, both));
    app.on('close', () => server.destroy());
    server.on('close', () => app.destroy());
  });
  proxy.listen(0, HOST);
  await once(proxy, 'listening');
  closers.push(async () => {
    for (const socket of open) socket.destroy();
    proxy.close();
    await once(proxy, 'close');
  });
  return (proxy.address() as AddressInfo).port;
}

/** Cut as soon as it has carried a 200 to the SIP server, before the SIP server's reply. */
function breakAfterFirstAnswer(adminPort: number): Promise<number> {
  let cut = false;
  return relayTo(
    adminPort,
    (chunk, server) => {
      cut ||= chunk.includes('SIP/2.0 200');
      server.write(chunk);
    },
    (chunk, app, both) => {
      if (!cut) app.write(chunk);
      else for (const socket of both) socket.destroy();
    },
  );
}

it('misses a SIP server of which only the connection is left, and ends recordings when their media ends', async () => {
  const server = await sipServer();
  let dead = false;
  const unlessDead: Relay = (chunk, to) => void (dead || to.write(chunk));
  const recorder = await localRecorder({
    sipServer: server,
    sipSilenceMs: 6_000,
    variables: { DRACHTIO_PORT: String(await relayTo(server.adminPort, unlessDead, unlessDead)) },
  });
  const call = await (await srcOf(server)).call();
  await call.start();
  await call.speak();
  dead = true;
  const told = await recorder.logs.find('SIP server cannot be used');
  expect((told.err as Error).message).toMatch(/^the SIP server has said nothing for \d+ ms$/);
  const { manifest } = await bucket.of(recorder, call);
  expect(manifest).toMatchObject({ session: { endedBy: 'sip-server-lost' }, streams: [{ packets: 50 }, {}] });
  dead = false;
  await until(async () => (await recorder.health('/healthz')).status === 200);
});

it('says once that the SIP server does not know its secret, and tries on', async () => {
  const server = await sipServer();
  const recorder = await localRecorder({
    sipServer: server,
    variables: { DRACHTIO_SECRET: 'wrong' },
    waits: false,
  });
  const told = await recorder.logs.find('SIP server cannot be used');
  expect((told.err as Error).message).toBe('failed to authenticate to server');
  expect((await recorder.health('/healthz')).body).toEqual({ healthy: false, reasons: ['sip-server-gone'] });
});

it('keeps the recording of an SRC that never acknowledges, and says why it ended', async () => {
  const server = await sipServer({ t1Ms: 5 }); // an ACK is waited for 64 times as long
  const recorder = await localRecorder({ sipServer: server });
  const call = await (await srcOf(server)).call();
  const answer = await finalOf(call.send(call.invite()));
  call.aim(answer.body.toString());
  await call.speak();
  const { manifest } = await bucket.of(recorder, call);
  expect(manifest).toMatchObject({
    status: 'partial',
    session: { endedBy: 'sip-server-lost' },
    warnings: [{ code: 'ended-by-sip-server', detail: expect.stringContaining('ACK timeout') }],
    streams: [{ packets: 50 }, { packets: 50 }],
  });
});
