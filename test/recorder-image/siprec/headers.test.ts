import { participantsFromHeaders } from '../../../recorder-image/src/siprec/headers.ts';
import { mapParticipants } from '../../../recorder-image/src/siprec/parties.ts';
import { offered } from './support.ts';

const RECORDER = '<sip:192.0.2.10:5060>';

describe('participantsFromHeaders', () => {
  it('takes the From header, and leaves the recorder out', () => {
    expect(
      participantsFromHeaders({
        from: '"Alice \\"A\\" Example" <sip:+12025550101@example.com;user=phone>;tag=1',
        to: RECORDER,
      }),
    ).toEqual({
      dialect: 'none',
      dataMode: 'complete',
      groups: [],
      sessions: [],
      streams: [],
      correlationIds: [],
      direction: 'unknown',
      participants: [
        {
          id: 'from',
          aors: ['sip:+12025550101@example.com'],
          names: ['Alice "A" Example'],
          number: '+12025550101',
          joins: [],
          leaves: [],
        },
      ],
      warnings: [{ code: 'no-metadata', detail: '1 parties from the SIP headers' }],
    });
  });

  it('trusts P-Asserted-Identity more than Remote-Party-ID, and that more than From', () => {
    const headers = {
      from: '<sip:anonymous@anonymous.invalid>;tag=1',
      to: 'sip:2025550102@example.net;tag=2',
      remotePartyId: 'Alice <sip:2025550103@example.com>;party=calling;privacy=off',
    };
    const aors = (more: object) =>
      participantsFromHeaders({ ...headers, ...more }).participants.map((participant) => participant.aors);
    expect(aors({})).toEqual([['sip:2025550103@example.com'], ['sip:2025550102@example.net']]);
    expect(aors({ pAssertedIdentity: '"Alice" <sip:alice@example.com>, <tel:+1-202-555-0101>' })).toEqual([
      ['sip:alice@example.com', 'tel:+1-202-555-0101'],
      ['sip:2025550102@example.net'],
    ]);
  });

  it('takes nobody twice, and nothing from nothing', () => {
    expect(
      participantsFromHeaders({ from: 'sip:2025550101@example.com', to: 'sip:2025550101@example.net' })
        .participants,
    ).toHaveLength(1);
    expect(participantsFromHeaders({ from: '', to: '' }).participants).toEqual([]);
  });

  it("reads both parties of Cisco's built-in bridge, and which of them is heard", () => {
    const session = (side: string) =>
      participantsFromHeaders({
        from: `<sip:2025550101@192.0.2.50;${side};x-refci=27298698;x-nearenddevice=DEV1;x-farendrefci=27298699;x-farenddevice=DEV2;x-farendaddr=2025550102>;tag=1`,
        to: RECORDER,
      });
    const heard = (side: string) =>
      mapParticipants(session(side), offered({ label: '1' })).participants.map(({ number, streamLabels }) => [
        number,
        ...streamLabels,
      ]);
    expect(heard('x-nearend')).toEqual([['2025550101', '1'], ['2025550102']]);
    expect(heard('x-farend')).toEqual([['2025550101'], ['2025550102', '1']]);
    expect(session('x-nearend').correlationIds).toEqual(['27298698@DEV1']);
    expect(session('x-farend').correlationIds).toEqual(session('x-nearend').correlationIds);
  });

  it('survives damaged headers', () => {
    for (const from of [
      '"'.repeat(10_000),
      '<'.repeat(10_000),
      `${'a '.repeat(5000)}<`,
      '"\\',
      '<sip:>',
      '<;x-farendaddr>',
    ])
      expect(participantsFromHeaders({ from, to: from }).dialect).toBe('none');
  });
});
