import { PacketQueue } from '../../../recorder-image/src/media/packet-queue.ts';
import { PayloadPool } from '../../../recorder-image/src/media/payload-pool.ts';

describe('PacketQueue', () => {
  it('gives back what was added, in order, however long it is used', () => {
    const queue = new PacketQueue<number>();
    let next = 0;
    for (let added = 0; added < 5000; added++) {
      queue.add(added);
      if (added < 40) continue;
      expect(queue.first).toBe(next);
      expect(queue.takeFirst()).toBe(next++);
      expect(queue.length).toBe(40);
    }
    expect([...queue]).toEqual(Array.from({ length: 40 }, (_, index) => next + index));
    while (queue.length > 0) queue.takeFirst();
    expect([queue.first, queue.takeFirst(), [...queue]]).toEqual([undefined, undefined, []]);
  });

  it('puts an item before those that come after it, and behind its equals', () => {
    const queue = new PacketQueue<[number, string]>();
    for (const [place, name] of [
      [5, 'a'],
      [9, 'b'],
      [5, 'c'],
      [1, 'd'],
      [7, 'e'],
    ] as const)
      queue.add([place, name], ([other]) => other > place);
    expect([...queue].map(([, name]) => name).join('')).toBe('daceb');
  });
});

describe('PayloadPool', () => {
  it('keeps copies until they are given back, and uses their memory again', () => {
    const pool = new PayloadPool();
    const source = Buffer.from('first');
    const first = pool.keep(source);
    source.fill(0);
    const second = pool.keep(Buffer.from('another'));
    expect([first.toString(), second.toString()]).toEqual(['first', 'another']);
    pool.giveBack(first);
    const third = pool.keep(Buffer.from('third one'));
    expect(third.buffer).toBe(first.buffer);
    expect([second.toString(), third.toString()]).toEqual(['another', 'third one']);
  });

  it('takes payloads of any length', () => {
    const pool = new PayloadPool();
    for (const length of [0, 1, 1536, 1537, 7980]) {
      const kept = pool.keep(Buffer.alloc(length, 7));
      expect(kept).toEqual(Buffer.alloc(length, 7));
      pool.giveBack(kept);
    }
  });
});
