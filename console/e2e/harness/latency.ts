/**
 * Measuring in the page: from a trusted key event to the animation frame in
 * which the decoded video shows it. Reading once per animation frame costs
 * 8 ms on average at 60 Hz; it is in every figure.
 */
import type { Page } from 'playwright-core';

type Probe = { __probe: { x: number; y: number; pending: number; results: number[] } };

/** Watches the pixel at x, y of the video; every press of a key starts a measurement. */
export async function installProbe(page: Page, x: number, y: number): Promise<void> {
  await page.evaluate(
    ([px, py]) => {
      const w = window as unknown as Probe;
      w.__probe = { x: px, y: py, pending: 0, results: [] };
      const g = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
      if (!g) throw new Error('no canvas');
      let before = [0, 0, 0];
      const colour = (): number[] => {
        const v = document.querySelector('video');
        if (v && v.readyState >= 2) g.drawImage(v, px, py, 1, 1, 0, 0, 1, 1);
        return [...g.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      };
      window.addEventListener(
        'keydown',
        (e) => {
          if (!e.isTrusted || e.repeat) return;
          before = colour();
          w.__probe.pending = e.timeStamp;
        },
        { capture: true },
      );
      const look = (): void => {
        if (w.__probe.pending) {
          const now = colour();
          if (now.some((v, i) => Math.abs(v - (before[i] ?? 0)) > 60)) {
            w.__probe.results.push(performance.now() - w.__probe.pending);
            w.__probe.pending = 0;
          }
        }
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    },
    [x, y] as const,
  );
}

export async function results(page: Page): Promise<{ results: number[]; pending: number }> {
  return page.evaluate(() => {
    const p = (window as unknown as Probe).__probe;
    return { results: p.results, pending: p.pending };
  });
}

export function quantile(values: number[], q: number): number {
  const s = [...values].sort((a, b) => a - b);
  return s[Math.min(s.length - 1, Math.floor(q * s.length))] ?? NaN;
}
