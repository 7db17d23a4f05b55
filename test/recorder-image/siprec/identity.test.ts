import { callIdentity } from '../../../core/call-identity.ts';
import { participantsFromHeaders } from '../../../recorder-image/src/siprec/headers.ts';
import { callFactsOf } from '../../../recorder-image/src/siprec/identity.ts';
import { metadataOf } from './support.ts';

describe('callFactsOf', () => {
  const identityOf = (fixture: string, dialog: string) =>
    callIdentity({ ...callFactsOf(metadataOf(fixture)), sipCallId: dialog });

  it('joins the recordings of both parties without the header, and keeps them apart from others', () => {
    const caller = identityOf('broadworks-dual-origcall', 'a');
    const called = identityOf('broadworks-dual-termcall', 'b');
    expect(caller.callId).toBe('11111111-0000-4000-8000-000000000001');
    expect(called.callId).toBe(caller.callId);
    expect(identityOf('broadworks-single-termcall-redirect', 'c').callId).not.toBe(caller.callId);
  });

  it('bridges a redirection by newExtTrackingID', () => {
    const before = identityOf('broadworks-redirected-call', 'a');
    const after = callIdentity({
      broadWorks: { extTrackingId: '22222222-0000-4000-8000-000000000002' },
      sipCallId: 'b',
    });
    expect(after.callId).not.toBe(before.callId);
    expect(before.correlationIds).toContain(after.callId);
  });

  it('joins the sessions of a NetSapiens group, in their order', () => {
    const first = identityOf('rfc7865-netsapiens-first', 'a');
    const second = identityOf('rfc7865-netsapiens-second', 'b');
    expect([first.callId, second.callId]).toEqual(['20260302091500-example', '20260302091500-example']);
    expect([first.sequence, second.sequence]).toEqual([1, 2]);
  });

  it('joins by the UCID what different vendors record of one call', () => {
    expect(identityOf('draft-oracle', 'a').callId).toBe(identityOf('draft-audiocodes', 'b').callId);
  });

  it("joins both directions of Cisco's built-in bridge", () => {
    const [near, far] = ['x-nearend', 'x-farend'].map((side) =>
      callIdentity({
        ...callFactsOf(
          participantsFromHeaders({
            from: `<sip:2025550101@192.0.2.50;${side};x-refci=1;x-nearenddevice=D;x-farendaddr=2025550102>`,
            to: '',
          }),
        ),
        sipCallId: side,
      }),
    );
    expect(near?.callId).toBe(far?.callId);
  });

  it('finds the Session-ID of Cisco CUBE in its metadata', () => {
    expect(identityOf('rfc7865-cisco-cube', 'a').callId).toBe('0000000000000000000000000000aa01');
  });
});
