/**
 * Turns of a wheel, whatever the browser makes of them.
 *
 * deltaX and deltaY are how far a page scrolls: a notch is 100 pixels in one browser, 120 in
 * another, one line or six as the system is set. Pixels are divided by the page's zoom.
 * wheelDeltaX and wheelDeltaY count notches (UI Events, "legacy wheel event"), but only whole
 * units: of a touchpad's pixels the fraction is cut off, and put back here. Chromium divides
 * them by the zoom as well, so that one notch at 50 % looks like two.
 */

/** Units of wheelDelta that browsers make of a pixel. */
const OF_A_PIXEL = [3, 1.2, 1] as const;

/** The zooms that Chromium offers. */
const ZOOMS = [1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5];
const BORDERS = 0.02; // of a window's width, at most

/**
 * The page's zoom: pixels of the screen in a pixel of the page, but for how fine the screen
 * is. Only Chromium's, which counts a window's outer width without it; 1 where that says
 * nothing, as beside developer tools.
 */
function zoomOf(window: Window): number {
  const seen = window.outerWidth / window.innerWidth;
  return ZOOMS.find((zoom) => Math.abs(seen / zoom - 1) < BORDERS) ?? 1;
}

/** A wheel event's delta along an axis, in 1/120 of a notch; positive is right and down. */
export function notches(event: WheelEvent, axis: 'X' | 'Y'): number {
  const { deltaMode } = event; // to be read first: Firefox makes pixels of lines for whoever does not ask
  const delta = event[`delta${axis}`];
  const told = -((event as Partial<Record<`wheelDelta${'X' | 'Y'}`, number>>)[`wheelDelta${axis}`] ?? 0);
  if (deltaMode === WheelEvent.DOM_DELTA_PIXEL) {
    const zoom = zoomOf(window);
    if (told === 0 || Math.sign(told) !== Math.sign(delta)) return delta * 1.2 * zoom; // a hundred pixels a notch
    const exact = OF_A_PIXEL.map((units) => delta * units).find((units) => Math.abs(units - told) < 1);
    // The zoom's last digits must not keep a notch from being whole.
    return exact === undefined ? told : Math.round(exact * zoom * 1000) / 1000;
  }
  if (told !== 0 && Math.sign(told) === Math.sign(delta)) return told;
  return delta * (deltaMode === WheelEvent.DOM_DELTA_LINE ? 40 : 360); // three lines a notch, or a third of a page
}
