import { chooseCodec, codecOf, isTelephoneEvent } from '../../../recorder-image/src/sdp/codecs.ts';
import { readOffer } from '../../../recorder-image/src/sdp/offer.ts';

const mLine = (text: string) => {
  const [first] = readOffer(`v=0\r\n${text}\r\n`).mLines;
  if (!first) throw new Error('no m-line');
  return first;
};

describe('chooseCodec', () => {
  it('gives the recordable payload types in the order of the offer', () => {
    const chosen = chooseCodec(
      mLine(
        'm=audio 4000 RTP/AVP 9 8 110 0 101\r\na=rtpmap:110 pcmu/8000/1\r\na=rtpmap:101 telephone-event/8000',
      ),
    );
    expect(chosen?.map(({ payloadType }) => payloadType)).toEqual([8, 110, 0]);
    expect(chosen?.map((payload) => codecOf(payload)?.name)).toEqual(['PCMA', 'PCMU', 'PCMU']);
  });

  it.each([
    'm=audio 4000 RTP/AVP 9 18',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000/2',
    'm=audio 4000 RTP/SAVP 0',
    'm=audio 0 RTP/AVP 0',
    'm=video 4000 RTP/AVP 0',
    'm=audio 4000 RTP/AVP',
  ])('refuses %j', (text) => {
    expect(chooseCodec(mLine(text))).toBeUndefined();
  });
});

describe('isTelephoneEvent', () => {
  it('knows it in any case', () => {
    expect(isTelephoneEvent({ payloadType: 101, encoding: 'Telephone-Event', clockRate: 8000 })).toBe(true);
    expect(isTelephoneEvent({ payloadType: 0, encoding: 'PCMU', clockRate: 8000 })).toBe(false);
  });
});
