/**
 * Whether what is decoded is what is on the screen: after a random change the
 * whole picture must come to differ nowhere from the screen by more than
 * `limit` in luma. Compared is the Y plane as the browser decoded it, with the
 * luma of the screen in the colours that the stream says it has.
 */
import type { Page } from 'playwright-core';
import { probe, type Settled } from './probe.ts';
import type { Change, Screen } from './screen.ts';

export const limit = 16;

export class Checker {
  private width = 0;

  constructor(
    private view: Page,
    private screen: Screen,
  ) {}

  /** Tells the page what is on the screen, all of it, and waits until it shows that. */
  async begin(within: number): Promise<Settled> {
    const { width, height, data } = this.screen.display.pixels();
    this.width = width;
    const bgrx = Buffer.alloc(width * height * 4);
    for (let i = 0, j = 0; j < data.length; i += 4, j += 3) {
      bgrx[i] = data[j + 2] ?? 0;
      bgrx[i + 1] = data[j + 1] ?? 0;
      bgrx[i + 2] = data[j] ?? 0;
    }
    await this.expect({
      kind: 'all',
      rect: { x: 0, y: 0, w: width, h: height },
      bgrx: bgrx.toString('base64'),
    });
    return (await probe(this.view)).evaluate((p, [ms, most]) => p.settle(ms, most), [within, limit] as const);
  }

  /** Makes a random change; gives how long the picture took to be right, and what was wrong if it was not. */
  async change(seed: number, within: number): Promise<{ kind: string; took: number; settled: Settled }> {
    const change = await this.screen.change(seed);
    await this.expect(change);
    const p = await probe(this.view);
    const [settled, shown] = await Promise.all([
      p.evaluate((q, [ms, most]) => q.settle(ms, most), [within, limit] as const),
      this.screen.show(),
    ]);
    // A change that nobody can see is right before it is shown.
    return { kind: change.kind, took: Math.max(0, settled.at - shown), settled };
  }

  /** Expects a change that is not shown, then shows it: the check must see what is missing. */
  async missing(seed: number): Promise<Settled> {
    await this.expect(await this.screen.change(seed));
    const p = await probe(this.view);
    const settled = await p.evaluate((q, most) => q.settle(200, most), limit);
    await this.screen.show();
    return settled;
  }

  private async expect({ rect, bgrx }: Change): Promise<void> {
    const p = await probe(this.view);
    await p.evaluate((q, [r, pixels, w]) => q.expect(r.x, r.y, r.w, r.h, pixels, w), [
      rect,
      bgrx,
      this.width,
    ] as const);
  }
}
