import { callIdentity } from '../../core/call-identity.ts';

const sipCallId = 'BW091500@192.0.2.20';

describe('callIdentity', () => {
  it('takes the correlation header before anything else, and lists every id once', () => {
    expect(
      callIdentity({
        correlationHeader: ' 11111111 ',
        broadWorks: { extTrackingId: '11111111', newExtTrackingId: '22222222', callId: 'callhalf-1:0' },
        groupIds: ['urn:uuid:1'],
        sipCallId,
      }),
    ).toEqual({ callId: '11111111', correlationIds: ['11111111', '22222222', sipCallId] });
  });

  it('joins the sessions of both recorded parties of one call', () => {
    const caller = callIdentity({
      correlationHeader: 'c',
      broadWorks: { callId: 'callhalf-1:0' },
      sipCallId: 'a',
    });
    const called = callIdentity({
      correlationHeader: 'c',
      broadWorks: { callId: 'callhalf-2:0' },
      sipCallId: 'b',
    });
    expect(caller.callId).toBe(called.callId);
  });

  it('keeps the header as the key when a redirection renews extTrackingID', () => {
    const after = callIdentity({ correlationHeader: 'old', broadWorks: { extTrackingId: 'new' }, sipCallId });
    expect(after).toEqual({ callId: 'old', correlationIds: ['old', 'new', sipCallId] });
  });

  it('takes extTrackingID without the header', () => {
    expect(callIdentity({ broadWorks: { extTrackingId: '8028549:1' }, sipCallId }).callId).toBe('8028549:1');
  });

  it('takes the group, then the session, of other SRCs', () => {
    expect(callIdentity({ groupIds: ['g'], sessionIds: ['s'], sipCallId })).toEqual({
      callId: 'g',
      correlationIds: ['g', 's', sipCallId],
    });
    expect(callIdentity({ sessionIds: ['s'], sipCallId }).callId).toBe('s');
  });

  it('falls back to the SIP Call-ID', () => {
    expect(callIdentity({ broadWorks: {}, groupIds: ['g'], sipCallId })).toEqual({
      callId: sipCallId,
      correlationIds: [sipCallId],
    });
  });

  it('joins by either end of a Session-ID', () => {
    const local = '0000000000000000000000000000aa01';
    const remote = '0000000000000000000000000000bb02';
    const one = callIdentity({ sipSessionIds: [`${local};remote=${remote}`], sipCallId: 'a' });
    const other = callIdentity({
      sipSessionIds: [`${remote.toUpperCase()};remote=${local}`],
      sipCallId: 'b',
    });
    expect(other.callId).toBe(one.callId);
    const early = callIdentity({ sipSessionIds: [`${remote};remote=${'0'.repeat(32)}`], sipCallId: 'c' });
    expect(early.correlationIds).toEqual([remote, 'c']);
    expect(one.correlationIds).toContain(early.callId);
  });

  it('keeps a Session-ID of another form as it is', () => {
    expect(callIdentity({ sipSessionIds: ['Example'], sipCallId: 'a' }).callId).toBe('Example');
  });

  it('takes the ids of other extensions before the group, and the sequence', () => {
    expect(callIdentity({ correlationIds: ['ucid'], groupIds: ['g'], groupSequence: 2, sipCallId })).toEqual({
      callId: 'ucid',
      correlationIds: ['ucid', 'g', sipCallId],
      sequence: 2,
    });
  });
});
