/** What is made of what was seen: latencies, ages, fidelity. */
import { quantile } from '../harness/latency.ts';
import type { Seen, Taken } from './probe.ts';

export const median = (values: number[]): number => quantile(values, 0.5);
export const p95 = (values: number[]): number => quantile(values, 0.95);
export const most = (values: number[]): number => (values.length > 0 ? Math.max(...values) : NaN);

/**
 * From each press to the first picture that shows it: press n counts the code
 * to n, and a picture with a higher count shows it as well.
 */
export function latencies({ inputs, seen }: Taken): { shown: number[]; unseen: number } {
  const shown: number[] = [];
  let unseen = 0;
  let i = 0;
  inputs
    .filter((e) => e.type === 'keydown')
    .forEach(({ at }, n) => {
      while (i < seen.length && ((seen[i]?.counter ?? 0) <= n || (seen[i]?.at ?? 0) < at)) i++;
      const s = seen[i];
      if (s) shown.push(s.at - at);
      else unseen++;
    });
  return { shown, unseen };
}

export type Motion = {
  /** pictures that were seen whole, a second */
  whole: number;
  /** how old they were when they were seen, ms */
  age: number;
  age95: number;
  /** milliseconds that the age grows in a second: a line through all of them */
  slope: number;
  /** the longest that the screen was behind: also while no picture came */
  behind: number;
};

/** What was seen from `since` until `until` of pictures drawn in that time. */
export function motion(seen: Seen[], since: number, until: number): Motion {
  const whole = seen.filter((s) => s.whole > 0 && s.drawn >= since);
  const ages = whole.map((s) => s.whole - s.drawn);
  const ends = [...whole.slice(1).map((s) => s.whole), until];
  const waits = whole.map((s, i) => (ends[i] ?? until) - s.drawn);
  if (whole[0]) waits.push(whole[0].whole - since); // what was shown until then is older than that
  return {
    whole: (1000 * new Set(whole.map((s) => s.counter)).size) / (until - since),
    age: median(ages),
    age95: p95(ages),
    slope: slope(whole.map((s) => [s.whole / 1000, s.whole - s.drawn])),
    behind: most(waits),
  };
}

export function slope(points: [number, number][]): number {
  const mean = (of: (p: [number, number]) => number): number =>
    points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const [x, y] = [mean((p) => p[0]), mean((p) => p[1])];
  const spread = mean((p) => (p[0] - x) ** 2);
  return points.length > 2 && spread > 0 ? mean((p) => (p[0] - x) * (p[1] - y)) / spread : NaN;
}

/** PSNR of all colours, dB; 99 for equal pictures. */
export function psnr(shown: string, drawn: string): number {
  const [a, b] = [Buffer.from(shown, 'base64'), Buffer.from(drawn, 'base64')];
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
  return sum === 0 ? 99 : 10 * Math.log10((255 * 255 * b.length) / sum);
}

/** The time from which on all is well; NaN when the last is not. */
export function wellFrom(list: { at: number; value: number }[], ok: (value: number) => boolean): number {
  let at = NaN;
  for (const one of list) {
    if (!ok(one.value)) at = NaN;
    else if (Number.isNaN(at)) at = one.at;
  }
  return at;
}
