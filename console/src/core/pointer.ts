/**
 * Mouse and pen over the picture. Moves are sent at most once per animation
 * frame, the first of a frame at once; buttons carry their own place and are
 * told apart by the mask of held ones, so that none is lost when several go
 * down together. Fingers are read in touch.ts.
 */
import type { Place, Stage } from './stage';
import { Touch } from './touch';

export interface PointerOutput {
  move(place: Place): void;
  /** button as in MouseEvent.button. */
  button(button: number, down: boolean, place: Place): void;
  /** In 1/120 of a notch; positive is right and down. */
  wheel(dx: number, dy: number, place: Place): void;
  /** The operator's own mouse is over the picture (true), or fingers are (false). */
  mouse(here: boolean): void;
}

const MASKS: readonly (readonly [mask: number, button: number])[] = [[1, 0], [4, 1], [2, 2], [8, 3], [16, 4]]; // prettier-ignore

export class Pointer {
  #stage: Stage;
  #out: PointerOutput;
  #held = 0; // the mask, as told to the other side
  #place: Place = { x: 0, y: 0 };
  #next: Place | undefined; // not yet sent
  #frame = 0; // waiting for the next animation frame
  #wheel = { dx: 0, dy: 0 };
  #touch: Touch;
  #gone = new AbortController();

  enabled = true;

  constructor(stage: Stage, out: PointerOutput) {
    this.#stage = stage;
    this.#out = out;
    this.#touch = new Touch(stage, {
      move: (place) => this.#out.move((this.#place = place)),
      button: (button, down, place) => this.#button(button, down, place),
      wheel: (dx, dy, place) => this.#turn(dx, dy, place),
    });
    const { signal } = this.#gone;
    const { picture, root } = stage;
    for (const name of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel'] as const)
      picture.addEventListener(name, (e) => this.#pointer(e), { signal });
    picture.addEventListener('wheel', (e) => this.#wheeled(e), { signal, passive: false });
    for (const name of ['contextmenu', 'dragstart', 'mousedown', 'mouseup', 'auxclick'] as const)
      picture.addEventListener(name, (e) => e.preventDefault(), { signal });
    // A pinch on a trackpad arrives as a wheel with Ctrl; outside the picture it must not zoom the page.
    root.addEventListener('wheel', (e) => e.ctrlKey && e.preventDefault(), { signal, passive: false });
    window.addEventListener('blur', () => this.releaseAll(), { signal });
  }

  releaseAll(): void {
    this.#touch.reset();
    this.#hold(0, this.#place);
  }

  close(): void {
    this.releaseAll();
    cancelAnimationFrame(this.#frame);
    this.#gone.abort();
  }

  #pointer(event: PointerEvent): void {
    if (event.type === 'pointerdown') {
      this.#focus();
      capture(this.#stage.picture, event.pointerId);
    }
    if (!this.enabled) return;
    event.preventDefault();
    this.#out.mouse(event.pointerType !== 'touch');
    if (event.pointerType === 'touch') return this.#touch.handle(event);
    const place = this.#stage.locate(event.clientX, event.clientY);
    const buttons = event.type === 'pointercancel' ? 0 : event.buttons;
    if (buttons !== this.#held) this.#hold(buttons, place);
    else if (place.x !== this.#place.x || place.y !== this.#place.y) this.#move(place);
  }

  // In text mode the field has the focus, and keeps it: a phone would take its keyboard away.
  #focus(): void {
    const { root } = this.#stage;
    if (!root.contains(document.activeElement)) root.focus({ preventScroll: true });
  }

  #hold(buttons: number, place: Place): void {
    for (const [mask, button] of MASKS)
      if ((buttons & mask) !== (this.#held & mask)) this.#button(button, (buttons & mask) !== 0, place);
  }

  #button(button: number, down: boolean, place: Place): void {
    this.#next = undefined; // the button's own place is newer
    this.#place = place;
    const mask = MASKS.find((m) => m[1] === button)?.[0] ?? 0;
    this.#held = down ? this.#held | mask : this.#held & ~mask;
    this.#out.button(button, down, place);
  }

  #move(place: Place): void {
    this.#place = place;
    this.#next = place;
    if (this.#frame === 0) this.#flush();
  }

  #wheeled(event: WheelEvent): void {
    event.preventDefault();
    if (!this.enabled) return;
    const place = this.#stage.locate(event.clientX, event.clientY);
    this.#turn(notches(event, 'X'), notches(event, 'Y'), place);
  }

  #turn(dx: number, dy: number, place: Place): void {
    this.#place = place;
    this.#wheel.dx += dx;
    this.#wheel.dy += dy;
    if (this.#frame === 0) this.#flush();
  }

  #flush(): void {
    const [dx, dy] = [Math.trunc(this.#wheel.dx), Math.trunc(this.#wheel.dy)];
    if (this.#next) this.#out.move(this.#next);
    if (dx !== 0 || dy !== 0) this.#out.wheel(dx, dy, this.#place);
    const sent = this.#next !== undefined || dx !== 0 || dy !== 0;
    this.#next = undefined;
    this.#wheel.dx -= dx;
    this.#wheel.dy -= dy;
    this.#frame = sent ? requestAnimationFrame(() => ((this.#frame = 0), this.#flush())) : 0;
  }
}

/** Units of wheelDelta that browsers make of a pixel of a touchpad. */
const OF_A_PIXEL = [3, 1.2, 1] as const;

/**
 * A wheel event's delta along an axis, in 1/120 of a notch; positive is right and down.
 *
 * deltaX and deltaY are how far a page scrolls: a notch is 100 pixels in one browser, 120 in
 * another, one line or five as the system is set, and all of it is divided by the zoom.
 * wheelDeltaX and wheelDeltaY count notches (UI Events, "legacy wheel event"), in every browser
 * of today, but whole units: of a touchpad's pixels the fraction is cut off, and put back here.
 */
export function notches(event: WheelEvent, axis: 'X' | 'Y'): number {
  const { deltaMode } = event; // to be read first: Firefox makes pixels of lines for whoever does not ask
  const delta = event[`delta${axis}`];
  const told = -((event as Partial<Record<`wheelDelta${'X' | 'Y'}`, number>>)[`wheelDelta${axis}`] ?? 0);
  if (told !== 0 && Math.sign(told) === Math.sign(delta)) {
    if (told % 120 === 0 || deltaMode !== WheelEvent.DOM_DELTA_PIXEL) return told;
    const exact = OF_A_PIXEL.map((units) => delta * units);
    return exact.find((units) => Math.abs(units - told) < 1) ?? told;
  }
  if (deltaMode === WheelEvent.DOM_DELTA_LINE) return delta * 40; // three lines a notch
  if (deltaMode === WheelEvent.DOM_DELTA_PAGE) return delta * 360;
  return delta * 1.2; // a hundred pixels a notch
}

function capture(picture: HTMLElement, id: number): void {
  try {
    picture.setPointerCapture(id);
  } catch {
    // The pointer is gone already.
  }
}
