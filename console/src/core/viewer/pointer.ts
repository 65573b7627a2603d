/**
 * Mouse and pen over the picture. Moves are sent at most once per animation
 * frame, the first of a frame at once; buttons carry their own place and are
 * told apart by the mask of held ones, so that none is lost when several go
 * down together. Fingers are read in touch.ts.
 */
import type { Place, Stage } from './stage';
import { Touch } from './touch';
import { notches } from './wheel';

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

function capture(picture: HTMLElement, id: number): void {
  try {
    picture.setPointerCapture(id);
  } catch {
    // The pointer is gone already.
  }
}
