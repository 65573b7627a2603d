/** Chromium, and reading what its viewer decoded. */
import { chromium, type Browser, type BrowserContext } from 'playwright-core';
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

/** A page of Chromium or of Firefox, each of which another library drives. */
export interface Looked {
  evaluate<R>(look: (selector: string) => R, selector: string): Promise<Awaited<R>>;
}

/** The picture of the <video>, as the browser decoded it, at its own size. */
export async function videoPixels(page: Looked, selector = 'video'): Promise<Pixels | null> {
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
export async function videoShows(page: Looked, x: number, y: number, want: Rgb, ms = 8_000): Promise<void> {
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
export async function pagePoint(page: Looked, x: number, y: number): Promise<{ x: number; y: number }> {
  const v = await page.evaluate((selector) => {
    const video = document.querySelector<HTMLVideoElement>(selector);
    if (!video) throw new Error('no video');
    const { left, top, width, height } = video.getBoundingClientRect();
    return { left, top, width, height, videoWidth: video.videoWidth, videoHeight: video.videoHeight };
  }, 'video');
  const scale = Math.min(v.width / v.videoWidth, v.height / v.videoHeight);
  const left = v.left + (v.width - v.videoWidth * scale) / 2;
  const top = v.top + (v.height - v.videoHeight * scale) / 2;
  return { x: left + (x + 0.5) * scale, y: top + (y + 0.5) * scale };
}
