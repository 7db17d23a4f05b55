import {
  CODEC_NAMES,
  CODECS,
  chooseCodec,
  codecOf,
  isTelephoneEvent,
  telephoneEventsOf,
} from '../../../recorder-image/src/sdp/codecs.ts';
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
        'm=audio 4000 RTP/AVP 13 8 110 0 101\r\na=rtpmap:110 pcmu/8000/1\r\na=rtpmap:13 CN/8000\r\na=rtpmap:101 telephone-event/8000',
      ),
    );
    expect(chosen?.map(({ payloadType }) => payloadType)).toEqual([8, 110, 0]);
    expect(chosen?.map((payload) => codecOf(payload)?.name)).toEqual(['PCMA', 'PCMU', 'PCMU']);
  });

  it('knows every codec, by static number and by name in any case', () => {
    const chosen = chooseCodec(
      mLine(
        [
          'm=audio 4000 RTP/AVP 111 96 97 9 18 8 0',
          'a=rtpmap:111 opus/48000/2',
          'a=fmtp:111 stereo=1;usedtx=1',
          'a=rtpmap:96 opus/48000',
          'a=rtpmap:97 g722/8000',
          'a=fmtp:18 annexb=no',
        ].join('\r\n'),
      ),
    );
    expect(chosen?.map((payload) => codecOf(payload)?.name)).toEqual([
      'OPUS',
      'OPUS',
      'G722',
      'G722',
      'G729',
      'PCMA',
      'PCMU',
    ]);
  });

  it.each([
    'm=audio 4000 RTP/AVP 13',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 G722/16000',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/16000/2',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/3',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 G729D/8000',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000',
    'm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000/2',
    'm=audio 4000 UDP/TLS/RTP/SAVP 0',
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

describe('telephoneEventsOf', () => {
  it('gives the clock rate of each', () => {
    const events = telephoneEventsOf(
      mLine(
        'm=audio 4000 RTP/AVP 0 101 110\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:110 telephone-event/48000',
      ),
    );
    expect(events).toEqual(
      new Map([
        [101, 8000],
        [110, 48_000],
      ]),
    );
  });
});

describe('the table', () => {
  it('has every name, and tells the rate of the audio from that of the clock', () => {
    expect(Object.keys(CODECS)).toEqual([...CODEC_NAMES]);
    expect(CODECS.G722).toMatchObject({ clockRate: 8000, sampleRate: 16_000 });
  });
});
