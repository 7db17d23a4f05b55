import { FillForecast } from '../../../recorder-image/src/health/fill-forecast.ts';

const MIB = 1024 * 1024;

/** Looks once a second, from `fromSecond` on. */
function look(
  forecast: FillForecast,
  fromSecond: number,
  seconds: number,
  bytesAt: (s: number) => number,
): void {
  for (let second = fromSecond; second < fromSecond + seconds; second++)
    forecast.add(bytesAt(second), second * 1000);
}

describe('a disk', () => {
  it('that falls steadily is full when it has gone on as it did', () => {
    const forecast = new FillForecast();
    look(forecast, 0, 101, (second) => 1000 * MIB - second * MIB);
    expect(forecast.secondsLeft).toBeCloseTo(900, 6);
    expect(forecast.isFilling).toBe(false);
    look(forecast, 101, 1, () => 899 * MIB);
    expect(forecast.isFilling).toBe(true);
  });

  it('of which nothing is known is not filling', () => {
    const forecast = new FillForecast();
    expect(forecast.secondsLeft).toBeUndefined();
    forecast.add(100, 0);
    expect(forecast.secondsLeft).toBeUndefined();
    forecast.add(0, 1000);
    expect([forecast.secondsLeft, forecast.isFilling]).toEqual([undefined, false]);
  });

  it('is not judged by its first minute', () => {
    const forecast = new FillForecast();
    look(forecast, 0, 60, (second) => (600 - second) * MIB);
    expect(forecast.secondsLeft).toBeUndefined();
    look(forecast, 60, 1, (second) => (600 - second) * MIB);
    expect(forecast.secondsLeft).toBeCloseTo(540, 6);
  });

  it('that others write a little to is not filling', () => {
    const forecast = new FillForecast();
    look(forecast, 0, 301, (second) => 10 * MIB - second * 20_000);
    expect(forecast.secondsLeft).toBeUndefined();
    expect(forecast.isFilling).toBe(false);
  });

  it('that grows, or stays, is not filling', () => {
    for (const step of [MIB, 0]) {
      const forecast = new FillForecast();
      look(forecast, 0, 301, (second) => 100 * MIB + second * step);
      expect([forecast.secondsLeft, forecast.isFilling]).toEqual([undefined, false]);
    }
  });

  it('that has nothing left is full now', () => {
    const forecast = new FillForecast();
    look(forecast, 0, 301, (second) => (200 - second) * MIB);
    expect(forecast.secondsLeft).toBe(0);
    expect(forecast.isFilling).toBe(true);
  });

  it('whose files come and go is not filling', () => {
    const forecast = new FillForecast();
    let alarms = 0;
    // Every 40 s audio of 100 MiB is made within 20 s, and is in S3 after 20 more.
    for (let second = 0; second < 3600; second++) {
      const phase = second % 40;
      look(forecast, second, 1, () => 2000 * MIB - (phase < 20 ? phase * 5 : 100) * MIB);
      if (forecast.isFilling) alarms++;
    }
    expect(alarms).toBe(0);
  });

  it('is told by what happens now, and not by an hour ago', () => {
    const forecast = new FillForecast();
    look(forecast, 0, 3600, () => 1000 * MIB);
    look(forecast, 3600, 301, (second) => (1000 - (second - 3600)) * MIB);
    expect(forecast.secondsLeft).toBeCloseTo(700, 0);
  });
});

describe('the alarm', () => {
  const falling = (rate: number, from: number) => {
    const forecast = new FillForecast();
    look(forecast, 0, 301, (second) => (from - second * rate) * MIB);
    return forecast;
  };

  it('stays until there is half as much time again', () => {
    const forecast = falling(1, 1100);
    expect(forecast.isFilling).toBe(true);
    look(forecast, 301, 301, (second) => (799 - (second - 301) * 0.6) * MIB);
    expect(forecast.secondsLeft).toBeCloseTo(1032, -1);
    expect(forecast.isFilling).toBe(true);
    look(forecast, 602, 301, (second) => (618.4 - (second - 602) * 0.3) * MIB);
    expect(forecast.secondsLeft).toBeCloseTo(1760, -1);
    expect(forecast.isFilling).toBe(false);
  });

  it('does not begin between the two', () => {
    const forecast = falling(1, 1500);
    expect(forecast.secondsLeft).toBeCloseTo(1200, 0);
    expect(forecast.isFilling).toBe(false);
  });

  it('ends when the disk falls no more', () => {
    const forecast = falling(1, 1100);
    look(forecast, 301, 301, () => 799 * MIB);
    expect(forecast.isFilling).toBe(false);
  });
});
