import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { checkRecording } from '../../../local/audio-check/check.ts';
import { readWav } from '../../../local/audio-check/wav.ts';
import { type CallResult, type PlaceCallsOptions, placeCalls } from '../../../local/broadworks/simulator.ts';
import { type DnsServer, startDnsServer } from '../../../local/dns-server/server.ts';
import type { Zone } from '../../../local/dns-server/zone.ts';
import { callId, cseq, header, requiredHeader, topVia } from '../../../local/sip/message.ts';
import { g711Wav } from '../audio-check/make-wav.ts';
import { exampleZone, healthy, slotAddress } from '../dns-server/example-zone.ts';
import { type Manner, startRecorder, type TestRecorder } from './test-recorder.ts';

const ADDRESS = '127.0.0.1';
const DOMAIN = 'siprec.rec.example.com';

let dns: DnsServer;
let zone: Zone;
const running: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  dns = await startDnsServer({
    address: ADDRESS,
    port: 0,
    zone: () => zone,
    health: healthy,
    onError: (error) => {
      throw error;
    },
  });
});
afterAll(() => dns.close());
afterEach(async () => {
  for (const recorder of running.splice(0)) await recorder.close();
});

async function recorders(...manners: Manner[]): Promise<TestRecorder[]> {
  const started = await Promise.all(manners.map(startRecorder));
  running.push(...started);
  publish(started.map(({ port }) => port));
  return started;
}

/** Publishes targets s1, s2 ... with rising priority numbers, at these ports. */
function publish(ports: number[]): void {
  zone = exampleZone(
    ...(['udp', 'tcp'] as const).map((transport) => ({
      name: `_sip._${transport}.${DOMAIN}`,
      type: 'SRV' as const,
      ttlSeconds: 30,
      values: ports.map((port, index) => ({
        priority: 10 * (index + 1),
        weight: 1,
        port,
        target: `s${index + 1}.rec.example.com`,
      })),
    })),
    ...ports.map((_, index) => slotAddress(`s${index + 1}`, ADDRESS)),
  );
}

const place = (options: Partial<PlaceCallsOptions> = {}): Promise<CallResult[]> =>
  placeCalls({
    domain: DOMAIN,
    dnsServer: { address: ADDRESS, port: dns.port },
    transport: 'udp',
    calls: 1,
    durationMs: 60,
    maxResponseWaitMs: 200,
    log: () => {},
    ...options,
  });

const payloads = (packets: Buffer[]) => Buffer.concat(packets.map((packet) => packet.subarray(12)));

describe('a call that is recorded', () => {
  it.each(['udp', 'tcp'] as const)('over %s: INVITE, ACK, RTP, BYE in one dialog', async (transport) => {
    const [recorder] = await recorders('record');
    const [result] = await place({ transport });
    expect(result).toMatchObject({
      callNumber: 1,
      outcome: 'recorded',
      recorder: { target: 's1.rec.example.com', address: ADDRESS, port: recorder?.port },
      attempts: [{ target: 's1.rec.example.com', outcome: '200 OK' }],
      direction: 'outgoing',
      rtpDurationMs: 60,
    });
    expect(result).not.toHaveProperty('reason');
    expect(recorder?.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'BYE']);
    const [invite, ack, bye] = recorder?.requests ?? [];
    if (!invite || !ack || !bye) throw new Error('requests are missing');
    expect(callId(invite)).toBe(result?.sipCallId);
    expect(callId(bye)).toBe(result?.sipCallId);
    expect(cseq(ack).seq).toBe(cseq(invite).seq);
    expect(cseq(bye).seq).toBe(cseq(invite).seq + 2);
    expect(topVia(invite).protocol).toBe(transport);
    expect(header(invite, 'X-BroadWorks-Correlation-Info')).toBe(result?.extTrackingId);
    expect(invite.body.toString()).toContain(`<extTrackingID>${result?.extTrackingId}</extTrackingID>`);
  });

  it('sends RTP as RFC 3550 has it: 172 bytes, numbers and times rising, one SSRC, marker first', async () => {
    const [recorder] = await recorders('record');
    await place({ durationMs: 200 });
    expect(recorder?.streams.map(({ length }) => length)).toEqual([10, 10]);
    const ssrcs = recorder?.streams.map((packets) => {
      const first = packets[0] as Buffer;
      packets.forEach((packet, index) => {
        expect(packet).toHaveLength(172);
        expect(packet.readUInt8(0)).toBe(0x80);
        expect(packet.readUInt8(1)).toBe(index === 0 ? 0x80 : 0);
        expect(packet.readUInt16BE(2)).toBe((first.readUInt16BE(2) + index) & 0xffff);
        expect(packet.readUInt32BE(4)).toBe((first.readUInt32BE(4) + index * 160) >>> 0);
        expect(packet.readUInt32BE(8)).toBe(first.readUInt32BE(8));
      });
      return first.readUInt32BE(8);
    });
    expect(new Set(ssrcs).size).toBe(2);
  });

  it.each([
    ['pcmu', 7],
    ['pcma', 6],
  ] as const)('carries each party as a tone of its own in %s', async (codec, tag) => {
    const [recorder] = await recorders('record');
    const [result] = await place({ codec, durationMs: 1_000 });
    const wav = readWav(g711Wav(tag, (recorder?.streams ?? []).map(payloads)));
    const check = checkRecording(wav, {
      expected: [
        { channel: 0, frequencyHz: result?.frequencies.recordedUser ?? 0 },
        { channel: 1, frequencyHz: result?.frequencies.other ?? 0 },
      ],
      durationMs: result?.rtpDurationMs ?? 0,
    });
    expect(check.problems).toEqual([]);
    expect(check.durationMs).toBe(1_000);
  });

  it('mixes both parties in single-stream mode', async () => {
    const [recorder] = await recorders('record');
    const [result] = await place({ streams: 'single', durationMs: 500 });
    expect(recorder?.streams).toHaveLength(1);
    const wav = readWav(g711Wav(7, (recorder?.streams ?? []).map(payloads)));
    const { recordedUser, other } = result?.frequencies ?? { recordedUser: 0, other: 0 };
    const check = checkRecording(wav, {
      expected: [recordedUser, other].map((frequencyHz) => ({ channel: 0, frequencyHz })),
      durationMs: 500,
    });
    expect(check.problems).toEqual([]);
  });

  it('is one of many, all with different ids, parties and tones', async () => {
    const [recorder] = await recorders('record');
    const results = await place({ calls: 6, concurrency: 3, durationMs: 40, intervalMs: 5 });
    expect(results.map(({ callNumber, outcome }) => [callNumber, outcome])).toEqual(
      [1, 2, 3, 4, 5, 6].map((callNumber) => [callNumber, 'recorded']),
    );
    expect(new Set(results.map(({ sipCallId }) => sipCallId)).size).toBe(6);
    expect(new Set(results.map(({ extTrackingId }) => extTrackingId)).size).toBe(6);
    expect(new Set(results.flatMap(({ frequencies }) => Object.values(frequencies))).size).toBe(12);
    const numbers = results.flatMap(({ parties }) => [parties.recordedUser.number, parties.other.number]);
    expect(new Set(numbers).size).toBe(12);
    for (const number of numbers) expect(number).toMatch(/^\+1\d{3}55501\d\d$/);
    expect(results.map(({ direction }) => direction).slice(0, 2)).toEqual(['outgoing', 'incoming']);
    expect(recorder?.requests.filter(({ method }) => method === 'BYE')).toHaveLength(6);
  });

  it('goes on hold and back by re-INVITEs that carry SDP alone', async () => {
    const [recorder] = await recorders('record');
    const [result] = await place({ durationMs: 200, hold: { afterMs: 60, forMs: 60 } });
    expect(result).toMatchObject({ outcome: 'recorded' });
    const invites = recorder?.requests.filter(({ method }) => method === 'INVITE') ?? [];
    expect(recorder?.requests.map(({ method }) => method)).toEqual([
      ...['INVITE', 'ACK', 'INVITE', 'ACK', 'INVITE', 'ACK', 'BYE'],
    ]);
    expect(invites.slice(1).map((invite) => requiredHeader(invite, 'Content-Type'))).toEqual([
      'application/sdp',
      'application/sdp',
    ]);
    expect(invites[1]?.body.toString()).toMatch(/c=IN IP4 0\.0\.0\.0(.|\s)*a=inactive/);
    expect(invites[2]?.body.toString()).toMatch(/o=BroadWorks \d+ 3 (.|\s)*a=sendonly/);
    // Media time runs on while nothing is sent.
    const packets = recorder?.streams[0] ?? [];
    const times = packets.map((packet) => packet.readUInt32BE(4));
    const steps = times.slice(1).map((time, index) => (time - (times[index] as number)) >>> 0);
    expect(steps.filter((step) => step !== 160)).toHaveLength(1);
    expect(Math.max(...steps)).toBeGreaterThanOrEqual(160 * 4);
    expect(result?.rtpDurationMs).toBe(packets.length * 20);
    expect(result?.rtpDurationMs).toBeLessThan(200);
  });

  it('is the last one where no more are wanted, and goes on to its end', async () => {
    const [recorder] = await recorders('record');
    const enough = new AbortController();
    const ended: number[] = [];
    const placing = place({
      calls: 50,
      intervalMs: 20,
      durationMs: 200,
      until: enough.signal,
      onResult: ({ callNumber }) => ended.push(callNumber),
    });
    await recorder?.next('INVITE');
    enough.abort();
    const results = await placing;
    expect(results.length).toBeLessThan(50);
    expect(results.map(({ rtpDurationMs }) => rtpDurationMs)).toEqual(results.map(() => 200));
    expect(results.map(({ outcome }) => outcome)).toEqual(results.map(() => 'recorded'));
    expect(ended.sort((a, b) => a - b)).toEqual(results.map(({ callNumber }) => callNumber));
  });

  it('ends early, with BYE, when asked to', async () => {
    const [recorder] = await recorders('record');
    const interrupt = new AbortController();
    const placing = place({ calls: 5, concurrency: 1, durationMs: 60_000, signal: interrupt.signal });
    await recorder?.next('ACK');
    interrupt.abort();
    const results = await placing;
    expect(results).toMatchObject([{ callNumber: 1, outcome: 'recorded' }]);
    expect(recorder?.requests.at(-1)?.method).toBe('BYE');
  });
});

describe('failover (RFC 3263 4.3)', () => {
  it.each(['udp', 'tcp'] as const)(
    'goes on after 503 over %s, with the same request in a new transaction',
    async (transport) => {
      const [busy, free] = await recorders({ status: 503 }, 'record');
      const [result] = await place({ transport });
      expect(result).toMatchObject({
        outcome: 'recorded',
        recorder: { target: 's2.rec.example.com' },
        attempts: [{ outcome: '503 Service Unavailable' }, { outcome: '200 OK' }],
      });
      const [first] = busy?.requests ?? [];
      const [second] = free?.requests ?? [];
      if (!first || !second) throw new Error('requests are missing');
      expect(topVia(second).params.get('branch')).not.toBe(topVia(first).params.get('branch'));
      for (const name of ['Call-ID', 'From', 'CSeq', 'To'])
        expect(header(second, name)).toBe(header(first, name));
      expect(second.body.equals(first.body)).toBe(true);
    },
  );

  it('goes on after a refused TCP connection', async () => {
    const [free] = await recorders('record');
    const closed = createServer().listen(0, ADDRESS);
    await once(closed, 'listening');
    const { port } = closed.address() as { port: number };
    closed.close();
    await once(closed, 'close');
    publish([port, free?.port ?? 0]);
    const [result] = await place({ transport: 'tcp' });
    expect(result).toMatchObject({ outcome: 'recorded', recorder: { target: 's2.rec.example.com' } });
    expect(result?.attempts[0]?.outcome).toMatch(/^transport error .*ECONNREFUSED/);
  });

  it('goes on after ICMP says that the UDP port is closed, without waiting', async () => {
    const [free] = await recorders('record');
    const closed = createSocket('udp4');
    closed.bind(0, ADDRESS);
    await once(closed, 'listening');
    const { port } = closed.address();
    closed.close();
    await once(closed, 'close');
    publish([port, free?.port ?? 0]);
    const [result] = await place({ maxResponseWaitMs: 10_000 });
    expect(result).toMatchObject({ outcome: 'recorded', recorder: { target: 's2.rec.example.com' } });
    expect(result?.attempts[0]?.outcome).toMatch(/^transport error .*ECONNREFUSED/);
  });

  it.each(['udp', 'tcp'] as const)('goes on after total silence over %s', async (transport) => {
    await recorders('silent', 'record');
    const [result] = await place({ transport });
    expect(result).toMatchObject({
      outcome: 'recorded',
      recorder: { target: 's2.rec.example.com' },
      attempts: [{ outcome: 'no response within 200 ms' }, { outcome: '200 OK' }],
    });
  });

  it('does not go on after 100 and then silence', async () => {
    const [, free] = await recorders('trying', 'record');
    const [result] = await place({ maxAnswerWaitMs: 300 });
    expect(result).toMatchObject({
      outcome: 'failed',
      attempts: [
        { target: 's1.rec.example.com', outcome: 'no final response within 300 ms of the provisional one' },
      ],
    });
    expect(free?.requests).toEqual([]);
  });

  it.each([403, 488, 500, 603])('does not go on after %d', async (status) => {
    const [, free] = await recorders({ status }, 'record');
    const [result] = await place();
    expect(result?.outcome).toBe('failed');
    expect(result?.reason).toContain(`s1.rec.example.com: ${status}`);
    expect(result?.rtpDurationMs).toBe(0);
    expect(result).not.toHaveProperty('recorder');
    expect(free?.requests).toEqual([]);
  });

  it('says so when every target fails', async () => {
    await recorders({ status: 503 }, { status: 503 });
    const [result] = await place();
    expect(result).toMatchObject({
      outcome: 'failed',
      reason: 's2.rec.example.com: 503 Service Unavailable',
    });
    expect(result?.attempts).toHaveLength(2);
  });

  it('says so when there is no target', async () => {
    publish([]);
    const [result] = await place();
    expect(result).toMatchObject({ outcome: 'failed', attempts: [] });
    expect(result?.reason).toContain(`no SIP server for ${DOMAIN}`);
  });
});

describe('a recorder that fails during the call', () => {
  it('does not answer BYE', async () => {
    const [recorder] = await recorders('record');
    if (recorder) recorder.answersBye = false;
    const [result] = await place();
    expect(result).toMatchObject({
      outcome: 'bye-timeout',
      reason: 'the recorder does not answer BYE',
      recorder: { target: 's1.rec.example.com' },
      rtpDurationMs: 60,
    });
  }, 10_000);

  it('is gone, over TCP', async () => {
    const [recorder] = await recorders('record');
    const placing = place({ transport: 'tcp', durationMs: 100 });
    await recorder?.next('ACK');
    await recorder?.close();
    running.length = 0;
    const [result] = await placing;
    expect(result).toMatchObject({ outcome: 'failed', rtpDurationMs: 100 });
    expect(result?.reason).toMatch(/^BYE: .*ECONNREFUSED/);
  });
});

it('refuses more calls at once than there are tones', async () => {
  await expect(place({ calls: 500, concurrency: 200 })).rejects.toThrow(RangeError);
});
