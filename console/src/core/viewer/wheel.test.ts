import { afterEach, describe, expect, it, vi } from 'vitest';
import { notches } from './wheel';

afterEach(() => vi.unstubAllGlobals());

/**
 * The rows with a version were measured on 2026-11-30 with xdotool's clicks of the buttons 4 to 7
 * under Xvfb, in windows of Chromium 156 and Firefox 153 ESR, at the zooms that they name.
 */
describe('a turn of the wheel', () => {
  // Rule: notches come out right and smooth scrolling is not lost, whatever the browser, its unit and its zoom.
  it.each<[string, number, number, number | undefined, number, number]>([
    ['Chromium 156, Linux', 0, 120, -120, 1, 120],
    ['Chromium 156, Linux, up', 0, -120, 120, 1, -120],
    ['Chromium 156, Linux, zoom 50 %', 0, 240, -240, 0.5, 120],
    ['Chromium 156, Linux, zoom 67 %', 0, 179.99999463558214, -179, 2 / 3, 120],
    ['Chromium 156, Linux, zoom 175 %', 0, 68.57142857142857, -68, 1.75, 120],
    ['Firefox 153, Linux, down, at any zoom', 1, 6, -120, 1, 120],
    ['Firefox 153, Linux, right, at any zoom', 1, 2, -120, 1, 120],
    ['Chromium, Windows', 0, 100, -120, 1, 120],
    ['Chromium, Windows, zoom 125 %', 0, 80, -96, 1.25, 120],
    ['Chromium, notches that are not zoomed', 0, 80, -120, 1.25, 120],
    ['Chromium, macOS, a mouse', 0, 4.000244140625, -120, 1, 120],
    ['Chromium, macOS, a touchpad', 0, 1.5, -4, 1, 4.5],
    ['Chromium, Windows, a fine wheel', 0, 12.5, -15, 1, 15],
    ['Chromium, Windows, a fine wheel, zoom 200 %', 0, 6.25, -7, 2, 15],
    ['Chromium, Linux, a touchpad', 0, 2.75, -2, 1, 2.75],
    ['Chromium, less than a unit', 0, 0.25, 0, 1, 0.3],
    ['Chromium, a fine wheel that is not zoomed', 0, 6.25, -15, 2, 15],
    ['Firefox, one line as the system is set', 1, 1, -120, 1, 120],
    ['Firefox, five lines, two notches', 1, 10, -240, 1, 240],
    ['Firefox, pages', 2, 1, -120, 1, 120],
    ['Firefox, a touchpad', 0, 7, -21, 1, 21],
    ['a browser that does not tell, pixels', 0, 100, undefined, 1, 120],
    ['a browser that does not tell, lines', 1, 3, undefined, 1, 120],
    ['a browser that does not tell, pages', 2, 1, undefined, 1, 360],
    ['developer tools beside the page', 0, 120, -120, 1.7, 120],
    ['nothing', 0, 0, 0, 1, 0],
  ])('%s', (_name, deltaMode, delta, wheelDelta, zoom, want) => {
    vi.stubGlobal('outerWidth', 1000);
    vi.stubGlobal('innerWidth', 992 / zoom); // with borders
    for (const axis of ['X', 'Y'] as const) {
      const event = new WheelEvent('wheel', { deltaMode, [`delta${axis}`]: delta });
      Object.defineProperty(event, `wheelDelta${axis}`, { value: wheelDelta });
      expect(notches(event, axis)).toBeCloseTo(want, 9);
    }
  });
});
