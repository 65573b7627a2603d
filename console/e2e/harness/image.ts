/** The pixels of an <img> on the page. */
import type { Locator } from 'playwright-core';
import type { Pixels } from './display.ts';

export async function decodeImage(image: Locator): Promise<Pixels> {
  const got = await image.evaluate(async (node) => {
    const i = node as HTMLImageElement;
    await i.decode();
    const c = new OffscreenCanvas(i.naturalWidth, i.naturalHeight);
    const g = c.getContext('2d');
    if (!g) throw new Error('no canvas');
    g.drawImage(i, 0, 0);
    return { width: c.width, height: c.height, rgba: [...g.getImageData(0, 0, c.width, c.height).data] };
  });
  return {
    width: got.width,
    height: got.height,
    data: Uint8Array.from(got.rgba.filter((_, i) => i % 4 !== 3)),
  };
}
