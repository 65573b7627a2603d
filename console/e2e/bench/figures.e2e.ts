/** The benchmark's arithmetic, on pictures that were seen by nobody. */
import { describe, expect, it } from 'vitest';
import { latencies, motion, psnr, slope, wellFrom } from './figures.ts';
import type { Seen, Taken } from './probe.ts';
import { Results } from './results.ts';
import { markdown } from './rows.ts';

const seen = (counter: number, drawn: number, at: number, whole = at): Seen => ({
  counter,
  drawn,
  at,
  whole,
});
const pressed = (...at: number[]): Taken['inputs'] => at.map((t) => ({ type: 'keydown', at: t }));
const taken = (inputs: Taken['inputs'], list: Seen[]): Taken => ({ inputs, seen: list, first: 0, peers: 1 });

describe('figures', () => {
  it('finds the picture that answers each press, also when one shows several', () => {
    const list = [seen(0, 0, 5), seen(1, 20, 40), seen(3, 290, 330)];
    expect(latencies(taken(pressed(10, 200, 250), list))).toEqual({ shown: [30, 130, 80], unseen: 0 });
    expect(latencies(taken(pressed(10, 400), [seen(1, 20, 40)]))).toEqual({ shown: [30], unseen: 1 });
  });

  it('counts whole pictures of its own time, their age, and how long the screen was behind', () => {
    const list = [
      seen(9, 900, 1_050),
      seen(1, 1_000, 1_040),
      seen(2, 1_100, 1_150),
      seen(3, 1_200, 1_290, 0),
    ];
    const m = motion(list, 1_000, 2_000);
    expect(m.whole).toBe(2);
    expect(m.age95).toBe(50);
    expect(m.behind).toBe(900); // from picture 2 on nothing came
    expect(motion([seen(1, 1_650, 1_700), seen(2, 1_750, 1_800)], 1_000, 1_850).behind).toBe(700); // until it began
    expect(motion([], 0, 1_000).behind).toBeNaN();
  });

  it('says how fast an age grows, and from when on all is well', () => {
    expect(slope([1, 2, 3, 4].map((s) => [s, 50 + 20 * s]))).toBeCloseTo(20);
    const ages = [300, 900, 350, 320].map((value, at) => ({ at, value }));
    expect(wellFrom(ages, (age) => age < 400)).toBe(2);
    expect(wellFrom(ages.slice(0, 2), (age) => age < 400)).toBeNaN();
  });

  it('knows equal pictures', () => {
    const text = (v: number): string => Buffer.alloc(300, v).toString('base64');
    expect(psnr(text(7), text(7))).toBe(99);
    expect(psnr(text(8), text(7))).toBeCloseTo(48.13, 2);
  });

  it('holds the medians of the rounds to the targets, and the worst where a row asks for it', () => {
    const results = new Results(() => undefined);
    for (const v of [20, 22, 90]) results.add('Oriel', 'key median', v);
    for (const v of [25, 25, 25]) results.add('reference', 'key median', v);
    for (const v of [40, 50, 101]) results.add('Oriel', 'key worst', v);
    expect(markdown(results)).toContain('| key → pixel, median | 22 ms | 25 ms | 0.88 | ≤ 0.9× | met |');
    expect(markdown(results)).toContain('| key → pixel, worst | 101 ms | – |  | ≤ 100 | **not met** |');
  });
});
