/** Comparing pictures. */
import type { Pixels } from './display.ts';

export type Rgb = [number, number, number];

export function at(p: Pixels, x: number, y: number): Rgb {
  const i = (y * p.width + x) * 3;
  return [p.data[i] ?? 0, p.data[i + 1] ?? 0, p.data[i + 2] ?? 0];
}

export function near(a: Rgb, b: Rgb, tolerance = 40): boolean {
  return a.every((v, i) => Math.abs(v - (b[i] ?? 0)) <= tolerance);
}

const luma = (d: Uint8Array, i: number): number =>
  0.299 * (d[i] ?? 0) + 0.587 * (d[i + 1] ?? 0) + 0.114 * (d[i + 2] ?? 0);

/** PSNR of the luma in dB, and the share of pixels off by more than 40. */
export function compare(a: Pixels, b: Pixels): { psnr: number; off: number } {
  if (a.width !== b.width || a.height !== b.height) {
    throw new Error(`${a.width}x${a.height} against ${b.width}x${b.height}`);
  }
  let sum = 0;
  let off = 0;
  const n = a.width * a.height;
  for (let i = 0; i < n * 3; i += 3) {
    const d = luma(a.data, i) - luma(b.data, i);
    sum += d * d;
    if (Math.abs(d) > 40) off++;
  }
  return { psnr: sum === 0 ? 99 : 10 * Math.log10((255 * 255 * n) / sum), off: off / n };
}
