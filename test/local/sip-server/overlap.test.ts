/** Requests that overlap in a dialog. As drachtio-server, the server judges none of them: its application does. */
import { type EventEmitter, once } from 'node:events';
import { callId, cseq, header, type SipRequest, toTag } from '../../../local/sip/message.ts';
import type { ServerTransaction } from '../../../local/sip/transaction.ts';
import {
  ANSWER,
  app,
  type Call,
  call,
  caller,
  finalOf,
  HOST,
  inDialog,
  newRequest,
  OFFER,
  peer,
  type Req,
  type Res,
  SHORT,
  SRS_CONTACT,
  server,
} from './support.ts';

const SDP: [string, string][] = [['Content-Type', 'application/sdp']];
const ACCEPT = { body: ANSWER, headers: { Contact: SRS_CONTACT, 'Content-Type': 'application/sdp' } };

const invite = (up: Call) => up.uac.request(up.dialog.request('INVITE', SDP, OFFER), up.to);

/** The types of drachtio-srf leave out what its dialogs hand to their listeners. */
const listen = (up: Call, event: string, listener: (req: Req, res: Res) => void) =>
  (up.dlg as unknown as EventEmitter).on(event, listener);

describe('a re-INVITE while another is unanswered', () => {
  it('reaches the application, whose 500 and Retry-After go back; the first is answered all the same', async () => {
    const up = await call('udp');
    const [first, one] = [once(up.dlg, 'modify') as Promise<[Req, Res]>, invite(up)];
    const [, answerFirst] = await first;
    const [second, two] = [once(up.dlg, 'modify') as Promise<[Req, Res]>, invite(up)];
    (await second)[1].send(500, { headers: { 'Retry-After': '3' } });
    const refused = finalOf(await two.outcome);
    expect([refused.status, header(refused, 'Retry-After')]).toEqual([500, '3']);
    answerFirst.send(200, ACCEPT);
    const accepted = finalOf(await one.outcome);
    expect([accepted.status, cseq(accepted).seq]).toEqual([200, cseq(one.request).seq]);
    const acked = once(up.dlg, 'ack');
    one.acknowledge(up.dialog.ack(cseq(one.request).seq), up.to);
    await acked;
    await inDialog(up, 'BYE');
  });

  it('reaches it also while a re-INVITE of its own is unanswered; its 491 goes back', async () => {
    const up = await call('udp');
    const theirs = once(up.uac, 'request') as Promise<[ServerTransaction]>;
    const modified = up.dlg.modify(ANSWER);
    const [own] = await theirs;
    listen(up, 'modify', (_, res) => res.send(491));
    expect(finalOf(await invite(up).outcome).status).toBe(491);
    const acked = once(up.uac, 'ack') as Promise<[SipRequest]>;
    own.respond(200, { headers: [['Contact', `<sip:${HOST}:${up.uac.transport.port}>`]], body: OFFER });
    await modified;
    expect(cseq((await acked)[0]).seq).toBe(cseq(own.request).seq);
  });
});

describe('a re-INVITE that is answered before the ACK of the INVITE before it', () => {
  it('leaves both waiting for their own ACK', async () => {
    const up = await call('udp', { ack: false });
    listen(up, 'modify', (_, res) => res.send(200, ACCEPT));
    const firstSeq = up.dialog.localSeq;
    const again = invite(up);
    await again.outcome;
    for (const seq of [firstSeq, cseq(again.request).seq]) {
      const acked = once(up.dlg, 'ack') as Promise<[Req]>;
      again.acknowledge(up.dialog.ack(seq), up.to);
      expect((await acked)[0].get('CSeq')).toBe(`${seq} ACK`);
    }
  });

  it('does not save a dialog whose first INVITE is never acknowledged', async () => {
    const up = await call('udp', { ack: false, timing: SHORT });
    listen(up, 'modify', (_, res) => res.send(200, ACCEPT));
    const again = invite(up);
    await again.outcome;
    again.acknowledge(up.dialog.ack(cseq(again.request).seq), up.to);
    const [bye] = (await once(up.uac, 'request')) as [ServerTransaction];
    bye.respond(200);
    expect(header(bye.request, 'Reason')).toMatch('ACK timeout');
  });
});

describe('an UPDATE', () => {
  it('during an unanswered re-INVITE gets 500 and Retry-After, which drachtio-srf sends', async () => {
    const up = await call('udp');
    const updates: Req[] = [];
    listen(up, 'update', (req) => updates.push(req));
    const [seen, one] = [once(up.dlg, 'modify') as Promise<[Req, Res]>, invite(up)];
    const [, answer] = await seen;
    const refused = await inDialog(up, 'UPDATE', SDP, OFFER);
    expect([refused.status, header(refused, 'Retry-After'), updates]).toEqual([500, '5', []]);
    answer.send(200, ACCEPT);
    expect(finalOf(await one.outcome).status).toBe(200);
  });

  it('during an unanswered UPDATE reaches the application, whose answers find their own requests', async () => {
    const up = await call('udp');
    const waiting: Res[] = [];
    listen(up, 'update', (_, res) => {
      waiting.push(res);
      if (waiting.length < 2) return;
      res.send(500, { headers: { 'Retry-After': '1' } });
      waiting[0]?.send(200);
    });
    const [first, second] = [inDialog(up, 'UPDATE'), inDialog(up, 'UPDATE')];
    expect([(await first).status, (await second).status]).toEqual([200, 500]);
  });
});

describe('a BYE', () => {
  it('ends what is unanswered in its dialog with 500; a late answer of the application is refused', async () => {
    const up = await call('udp');
    const [seen, one] = [once(up.dlg, 'modify') as Promise<[Req, Res]>, invite(up)];
    const [, answer] = await seen;
    expect(await inDialog(up, 'BYE')).toMatchObject({ status: 200 });
    expect(finalOf(await one.outcome).status).toBe(500);
    const late = Promise.withResolvers<unknown>();
    answer.send(200, ACCEPT, (error) => late.resolve(error));
    expect(await late.promise).toBe('Response not sent due to unknown transaction');
    expect(await inDialog(up, 'UPDATE')).toMatchObject({ status: 481 });
  });
});

describe('a request with a CSeq lower than the last', () => {
  it('reaches the application, which has to refuse it', async () => {
    const up = await call('udp');
    const seqs: string[] = [];
    listen(up, 'info', (req, res) => {
      seqs.push(req.get('CSeq'));
      res.send(seqs.length === 1 ? 200 : 500);
    });
    const earlier = up.dialog.request('INFO');
    expect(await inDialog(up, 'INFO')).toMatchObject({ status: 200 });
    expect(finalOf(await up.uac.request(earlier, up.to).outcome)).toMatchObject({ status: 500 });
    expect(seqs).toEqual([`${up.dialog.localSeq} INFO`, `${up.dialog.localSeq - 1} INFO`]);
  });
});

describe('the same INVITE on two paths', () => {
  it('reaches the application twice: drachtio-server sends no 482', async () => {
    const [started, one, other] = [await server(), await caller(), await caller()];
    const seen: string[] = [];
    await app(started, (self) =>
      self.invite((req, res) => {
        seen.push(req.get('Call-ID'));
        res.send(486);
      }),
    );
    const request = newRequest('INVITE', one, 'udp');
    const outcomes = [one, other].map((uac) => uac.request(request, peer(started, 'udp')).outcome);
    const answers = (await Promise.all(outcomes)).map(finalOf);
    expect(answers.map(({ status }) => status)).toEqual([486, 486]);
    expect(new Set(answers.map(toTag)).size).toBe(2);
    expect(seen).toEqual([callId(request), callId(request)]);
  });
});
