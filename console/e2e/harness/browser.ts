/** Chromium, and reading what its viewer decoded. */
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import type { Pixels } from './display.ts';
import { at, near, type Rgb } from './pixels.ts';
import { until } from './proc.ts';

export const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

export async function startBrowser(extra: string[] = [], executablePath = chromiumPath): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      ...extra,
    ],
  });
}

/** A context whose pages may not fail silently: uncaught errors are kept. */
export async function newContext(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<{ context: BrowserContext; errors: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const errors: string[] = [];
  context.on('weberror', (e) => errors.push(String(e.error())));
  context.on('console', (m) => {
    if (m.type() === 'error' && /Content Security Policy|Refused to/.test(m.text())) errors.push(m.text());
  });
  return { context, errors };
}

/** The picture of the <video>, as the browser decoded it, at its own size. */
export async function videoPixels(page: Page, selector = 'video'): Promise<Pixels | null> {
  const shot = await page.evaluate(async (s) => {
    const v = document.querySelector<HTMLVideoElement>(s);
    if (!v || v.readyState < 2 || !v.videoWidth) return null;
    const c = new OffscreenCanvas(v.videoWidth, v.videoHeight);
    const g = c.getContext('2d', { willReadFrequently: true });
    if (!g) return null;
    g.drawImage(v, 0, 0);
    const rgba = g.getImageData(0, 0, c.width, c.height).data;
    let text = '';
    for (let i = 0; i < rgba.length; i += 32768) {
      text += String.fromCharCode(...rgba.subarray(i, i + 32768));
    }
    return { width: c.width, height: c.height, data: btoa(text) };
  }, selector);
  if (!shot) return null;
  const rgba = Buffer.from(shot.data, 'base64');
  const data = new Uint8Array(shot.width * shot.height * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4) {
    data[o++] = rgba[i] ?? 0;
    data[o++] = rgba[i + 1] ?? 0;
    data[o++] = rgba[i + 2] ?? 0;
  }
  return { width: shot.width, height: shot.height, data };
}

/** Waits until the decoded picture has that colour at x, y (pixels of the remote screen). */
export async function videoShows(page: Page, x: number, y: number, want: Rgb, ms = 8_000): Promise<void> {
  let seen: Rgb | null = null;
  await until(
    `the video to show ${want} at ${x},${y}`,
    async () => {
      const p = await videoPixels(page);
      if (!p) return false;
      seen = at(p, x, y);
      return near(seen, want);
    },
    ms,
    () => `it shows ${seen}`,
  );
}

/** The place on the page of a pixel of the remote screen, whatever the zoom. */
export async function pagePoint(page: Page, x: number, y: number): Promise<{ x: number; y: number }> {
  return page.evaluate(
    ([px, py]) => {
      const v = document.querySelector('video');
      if (!v) throw new Error('no video');
      const r = v.getBoundingClientRect();
      const scale = Math.min(r.width / v.videoWidth, r.height / v.videoHeight);
      const left = r.left + (r.width - v.videoWidth * scale) / 2;
      const top = r.top + (r.height - v.videoHeight * scale) / 2;
      return { x: left + (px + 0.5) * scale, y: top + (py + 0.5) * scale };
    },
    [x, y] as const,
  );
}
