import { EventHeap } from '../../../local/simulation/event-heap.ts';
import { randomOf } from '../../../local/simulation/random.ts';

it('gives events back by time, each with what belongs to it, also when they come in between', () => {
  const random = randomOf(1, 1);
  const heap = new EventHeap(2);
  const waiting: number[] = [];
  let now = 0;
  for (let step = 0; step < 20_000; step++) {
    // It grows, then shrinks.
    const pushes = random() < (step < 12_000 ? 0.7 : 0.2);
    if (pushes || waiting.length === 0) {
      const at = now + random() * 100;
      waiting.push(at);
      heap.push(at, Math.floor(at) % 256, Math.floor(at * 1000), -Math.floor(at * 1000));
      continue;
    }
    const earliest = Math.min(...waiting);
    expect(heap.nextAtSeconds).toBe(earliest);
    heap.pop();
    expect([heap.atSeconds, heap.kind, heap.subject, heap.detail]).toEqual([
      earliest,
      Math.floor(earliest) % 256,
      Math.floor(earliest * 1000),
      -Math.floor(earliest * 1000),
    ]);
    waiting.splice(waiting.indexOf(earliest), 1);
    expect(heap.size).toBe(waiting.length);
    now = earliest;
  }
});

it('says when it is empty', () => {
  const heap = new EventHeap();
  expect(heap.nextAtSeconds).toBe(Number.POSITIVE_INFINITY);
  expect(() => heap.pop()).toThrow('no event is left');
});
