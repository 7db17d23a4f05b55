/** Telephone events (RFC 4733): the digits that a party pressed, as its telephone tells them beside the audio. */
import { TICKS_PER_MS } from './ticks.ts';

/** A digit that was pressed. `atMs` counts from sample 0 of the audio; it is negative for one that came before. */
export interface DtmfDigit {
  /** `0` to `9`, `*`, `#`, `A` to `D`. */
  digit: string;
  atMs: number;
  durationMs: number;
}

/** RFC 4733 3.2, by event code. */
const DIGITS = '0123456789*#ABCD';
const MASK = '*';

/** So many are told; nobody presses more, and a stream of nothing else must not use the memory up. */
export const MAX_DIGITS = 10_000;
/** Late packets belong to one of the last. */
const REMEMBERED_SEGMENTS = 64;

const PAYLOAD_BYTES = 4;
const END_BIT = 0x80;

/** One packet of an event. */
export interface EventPacket {
  /** Of the sender: digits of two senders are never one. */
  ssrc: number;
  /** Of the event's beginning, the same in all its packets; unwrapped. */
  timestamp: number;
  /** Hz: of the timestamp, and of the duration that the payload tells. */
  clockRate: number;
  /** Of the event's beginning, in ticks. */
  position: number;
  payload: Uint8Array;
}

/** Times in ticks. */
interface PressedKey {
  code: number;
  position: number;
  duration: number;
}

/** What the packets of one timestamp tell. Long events are told in several segments (RFC 4733 2.5.1.3). */
interface Segment {
  key: PressedKey;
  ssrc: number;
  /** Both in steps of the RTP clock. */
  timestamp: number;
  duration: number;
  ended: boolean;
  /** Of the event before this segment, in ticks. */
  earlier: number;
}

/**
 * Makes one digit of the many packets that tell of it: they repeat while the key is held, the last one three times,
 * and any of them may be lost or late. Its duration is the longest that was told. Other events (tones of fax and
 * line) are left out.
 */
export class TelephoneEvents {
  readonly #segments = new Map<string, Segment>();
  #last: Segment | undefined;
  readonly #keys: PressedKey[] = [];

  take(packet: EventPacket): void {
    const { ssrc, timestamp, clockRate, payload } = packet;
    const [code = DIGITS.length, flags = 0] = payload;
    if (payload.length < PAYLOAD_BYTES || code >= DIGITS.length) return;
    const id = `${ssrc}/${timestamp}/${code}`;
    const segment = this.#segments.get(id) ?? this.#begin(id, code, packet);
    const duration = ((payload[2] as number) << 8) | (payload[3] as number);
    segment.duration = Math.max(segment.duration, duration);
    segment.ended ||= (flags & END_BIT) !== 0;
    const ticks = segment.earlier + (segment.duration / clockRate) * 1000 * TICKS_PER_MS;
    segment.key.duration = Math.max(segment.key.duration, ticks);
  }

  #begin(id: string, code: number, { ssrc, timestamp, position }: EventPacket): Segment {
    const last = this.#last;
    const continues =
      last !== undefined &&
      !last.ended &&
      last.ssrc === ssrc &&
      last.key.code === code &&
      last.timestamp + last.duration === timestamp;
    const key = continues ? last.key : { code, position, duration: 0 };
    if (!continues && this.#keys.length < MAX_DIGITS) this.#keys.push(key);
    const segment = { key, ssrc, timestamp, duration: 0, ended: false, earlier: key.duration };
    this.#segments.set(id, segment);
    const [oldest] = this.#segments.keys();
    if (oldest !== undefined && this.#segments.size > REMEMBERED_SEGMENTS) this.#segments.delete(oldest);
    this.#last = segment;
    return segment;
  }

  /**
   * The digits in the order of time, the first `MAX_DIGITS`.
   * @param start position of sample 0, in ticks
   * @param mask tell when a key was pressed, and not which. Tones that are heard in the audio itself stay there.
   */
  digits(start: number, mask: boolean): DtmfDigit[] {
    return this.#keys
      .toSorted((one, other) => one.position - other.position)
      .map(({ code, position, duration }) => ({
        digit: mask ? MASK : (DIGITS[code] as string),
        atMs: Math.round((position - start) / TICKS_PER_MS),
        durationMs: Math.round(duration / TICKS_PER_MS),
      }));
  }
}
