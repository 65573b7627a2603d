/** What the operator asks of the picture: presets and caps, from the menu to what Chromium decodes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { Screen } from './bench/screen.ts';
import { videoPixels } from './harness/browser.ts';
import type { Pixels } from './harness/display.ts';
import { connect, live, showToolbar } from './harness/pages.ts';
import { at, type Rgb } from './harness/pixels.ts';
import { until } from './harness/proc.ts';
import { wire } from './harness/rtc.ts';
import { World } from './harness/world.ts';

const [auto, balanced, sharp] = [0, 2, 3].map((preset) => `preset-${preset}`) as [string, string, string];

async function choose(view: Page, choice: string): Promise<void> {
  await showToolbar(view);
  await view.getByTestId('picture').click();
  await view.getByTestId(choice).click();
}

async function chosen(view: Page, choice: string): Promise<boolean> {
  await showToolbar(view);
  await view.getByTestId('picture').click();
  const checked = await view.getByTestId(choice).getAttribute('aria-checked');
  await view.keyboard.press('Escape');
  return checked === 'true';
}

async function codec(view: Page, want: string): Promise<void> {
  const shown = (): Promise<string> => view.getByTestId('stat-codec').innerText();
  let last = '';
  await until(
    `statistics to say ${want}`,
    async () => (last = await shown()) === want,
    15_000,
    () => `they say ${last}`,
  );
}

// Lines of one pixel, red and blue by turns, which is what 4:2:0 has no room for.
const field = { x: 200, y: 120, w: 64, h: 64 };
const [red, blue] = [0xff0000, 0x0000ff];

function drawLines(w: World): void {
  for (let i = 0; i < field.w; i++) w.target.box(field.x + i, field.y, 1, field.h, i % 2 === 0 ? red : blue);
}

/** How far apart red and blue are where the lines are: 255 as drawn, about 0 where they are smeared. */
function apart(p: Pixels): number {
  const tint = ([r, , b]: Rgb): number => r - b;
  let sum = 0;
  let count = 0;
  for (let y = field.y + 8; y < field.y + field.h - 8; y += 4)
    for (let x = field.x + 8; x < field.x + field.w - 8; x += 2, count++)
      sum += (tint(at(p, x, y)) - tint(at(p, x + 1, y))) / 2;
  return sum / count;
}

async function lines(view: Page, what: string, fits: (apart: number) => boolean): Promise<void> {
  let last = 0;
  await until(
    `red and blue lines, ${what}`,
    async () => {
      const p = await videoPixels(view);
      return p !== null && fits((last = apart(p)));
    },
    15_000,
    () => `they are ${Math.round(last)} of 255 apart`,
  );
}

/** Pictures that were decoded, and thousands of bits that came, a second. */
async function measure(view: Page, seconds: number): Promise<{ fps: number; kbps: number }> {
  const [before, from] = [await wire(view), performance.now()];
  await view.waitForTimeout(seconds * 1000);
  const [after, took] = [await wire(view), (performance.now() - from) / 1000];
  return {
    fps: (after.framesDecoded - before.framesDecoded) / took,
    kbps: ((after.received - before.received) * 8) / 1000 / took,
  };
}

describe('presets', () => {
  let w: World;
  let view: Page;
  let screen: Screen | undefined;
  beforeEach(async () => {
    screen = undefined;
    w = await World.start({ display: { width: 1440, height: 860 } });
    view = await connect(w.context, w.page);
    await live(view);
    await showToolbar(view);
    await view.getByTestId('toggle-statistics').click();
  });
  afterEach(async (test) => {
    if (test.task.result?.state === 'fail') console.log(w?.logs());
    await screen?.stop();
    await w?.stop();
  });

  it('Sharp shows coloured lines of one pixel, Balanced smears them, and neither ends the session', async () => {
    drawLines(w);
    await codec(view, 'AV1 4:2:0');
    await lines(view, 'smeared', (a) => a < 60);
    expect(await chosen(view, auto)).toBe(true);
    for (let round = 0; round < 3; round++) {
      const dark = watchForBlack(view);
      await choose(view, sharp);
      await codec(view, 'AV1 4:4:4');
      await lines(view, 'each in its colour', (a) => a > 230);
      await choose(view, balanced);
      await codec(view, 'AV1 4:2:0');
      await lines(view, 'smeared again', (a) => a < 60);
      expect(await dark(), 'pictures that were black or of no size').toBe(0);
    }
    expect(await view.getByTestId('view').getAttribute('data-state')).toBe('live');
    expect(await view.evaluate(() => (window as unknown as { __peers: unknown[] }).__peers.length)).toBe(1);
  });

  it('are remembered by the browser', async () => {
    drawLines(w);
    await choose(view, sharp);
    await choose(view, 'fps-30');
    await codec(view, 'AV1 4:4:4');
    await view.reload();
    await live(view);
    await lines(view, 'each in its colour', (a) => a > 230);
    expect(await chosen(view, sharp)).toBe(true);
    expect(await chosen(view, 'fps-30')).toBe(true);
  });

  it('a cap on pictures a second holds', async () => {
    let n = 0;
    // Small changes, which cost a busy machine little.
    const drawing = setInterval(
      () => w.target.box(100 + (n++ % 40) * 5, 400, 60, 60, n % 2 ? red : blue),
      25,
    );
    try {
      await view.waitForTimeout(1_000);
      const free = await measure(view, 3);
      await choose(view, 'fps-10');
      await view.waitForTimeout(1_000);
      const capped = await measure(view, 6);
      await choose(view, 'fps-0');
      await view.waitForTimeout(1_000);
      const again = await measure(view, 3);
      console.log(
        'pictures a second without a cap, with one of 10, without:',
        free.fps,
        capped.fps,
        again.fps,
      );
      expect(free.fps).toBeGreaterThan(capped.fps);
      expect(capped.fps).toBeLessThanOrEqual(10.5);
      expect(capped.fps).toBeGreaterThan(4);
      expect(again.fps).toBeGreaterThan(capped.fps);
    } finally {
      clearInterval(drawing);
    }
  });

  it('a cap on data holds while a video plays', async () => {
    const playing = (screen = await Screen.start(w.display));
    await playing.play('video', 0);
    await choose(view, balanced); // Auto would save by itself
    await until('the video to run', async () => (await playing.stats()).frames > 60, 60_000); // it is drawn in advance
    const free = await measure(view, 5);
    await choose(view, 'kbps-500');
    await view.waitForTimeout(3_000);
    const capped = await measure(view, 8);
    console.log('a video without a cap on data, with one of 500 kbit/s:', free, capped);
    expect(capped.kbps).toBeLessThan(650);
    expect(capped.kbps, 'less than without a cap').toBeLessThan(free.kbps);
    expect(capped.fps, 'pictures still move').toBeGreaterThan(1);
  });
});

/** Counts pictures without any light until the returned function is called. */
function watchForBlack(view: Page): () => Promise<number> {
  const counted = view.evaluate(async () => {
    const v = document.querySelector('video');
    const g = new OffscreenCanvas(32, 18).getContext('2d', { willReadFrequently: true });
    let black = 0;
    const page = window as unknown as { enough?: boolean };
    for (page.enough = false; v && g && !page.enough; await new Promise(requestAnimationFrame)) {
      g.fillRect(0, 0, 32, 18);
      if (v.videoWidth) g.drawImage(v, 0, 0, 32, 18);
      if (!g.getImageData(0, 0, 32, 18).data.some((c, i) => i % 4 !== 3 && c > 20)) black++;
    }
    return black;
  });
  return async () => {
    await view.evaluate(() => Object.assign(window, { enough: true }));
    return counted;
  };
}
