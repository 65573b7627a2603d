/**
 * Fingers on the picture: a tap is a click; a long press is a right click, or
 * a drag with the left button when the finger then moves; one finger moving
 * pans a picture that is larger than the page, and drags otherwise; two
 * fingers scroll, or zoom when their distance changes.
 */
import type { Place, Stage } from './stage';

export interface TouchOutput {
  move(place: Place): void;
  button(button: number, down: boolean, place: Place): void;
  wheel(dx: number, dy: number, place: Place): void;
}

interface Finger {
  startX: number;
  startY: number;
  x: number;
  y: number;
}

type Gesture =
  'none' | 'touching' | 'pressed' | 'dragging' | 'panning' | 'two' | 'scrolling' | 'zooming' | 'over';

const LONG_PRESS = 500; // ms
const SLOP = 10; // CSS pixels that a resting finger may move
const PINCH = 24; // CSS pixels that the fingers' distance must change by
const SCROLL = 2.4; // 1/120 notch a CSS pixel

export class Touch {
  #stage: Stage;
  #out: TouchOutput;
  #fingers = new Map<number, Finger>();
  #gesture: Gesture = 'none';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #spread = 0; // the two fingers' distance when last looked at

  constructor(stage: Stage, out: TouchOutput) {
    this.#stage = stage;
    this.#out = out;
  }

  handle(event: PointerEvent): void {
    const { pointerId: id, clientX: x, clientY: y } = event;
    if (event.type === 'pointerdown') {
      this.#fingers.set(id, { startX: x, startY: y, x, y });
      return this.#touched();
    }
    const finger = this.#fingers.get(id);
    if (!finger) return;
    const [dx, dy] = [x - finger.x, y - finger.y];
    Object.assign(finger, { x, y });
    if (event.type === 'pointermove') return this.#moved(finger, dx, dy);
    this.#fingers.delete(id);
    this.#lifted(finger, event.type === 'pointercancel');
  }

  /** Lets go of whatever a finger holds. */
  reset(): void {
    const finger = [...this.#fingers.values()][0];
    if (this.#gesture === 'dragging' && finger) this.#out.button(0, false, this.#at(finger));
    clearTimeout(this.#timer);
    this.#fingers.clear();
    this.#gesture = 'none';
  }

  #touched(): void {
    clearTimeout(this.#timer);
    const fingers = [...this.#fingers.values()];
    const first = fingers[0];
    if (!first) return;
    if (fingers.length === 1) {
      this.#gesture = 'touching';
      this.#out.move(this.#at(first));
      this.#timer = setTimeout(() => this.#longPress(), LONG_PRESS);
    } else if (fingers.length === 2 && this.#gesture !== 'dragging') {
      this.#gesture = 'two';
      this.#spread = spread(fingers);
    }
  }

  #longPress(): void {
    this.#gesture = 'pressed';
    navigator.vibrate?.(15);
  }

  #moved(finger: Finger, dx: number, dy: number): void {
    const far = Math.hypot(finger.x - finger.startX, finger.y - finger.startY) > SLOP;
    if (far && (this.#gesture === 'touching' || this.#gesture === 'pressed')) {
      clearTimeout(this.#timer);
      const drags = this.#gesture === 'pressed' || !this.#stage.overflows;
      this.#gesture = drags ? 'dragging' : 'panning';
      if (drags) this.#out.button(0, true, this.#stage.locate(finger.startX, finger.startY));
    }
    if (this.#gesture === 'dragging') this.#out.move(this.#at(finger));
    if (this.#gesture === 'panning') this.#stage.pan(-dx, -dy);
    if (this.#fingers.size === 2) this.#movedTwo(dx, dy, far);
  }

  #movedTwo(dx: number, dy: number, far: boolean): void {
    const fingers = [...this.#fingers.values()];
    const now = spread(fingers);
    const [x, y] = [mean(fingers.map((f) => f.x)), mean(fingers.map((f) => f.y))];
    if (this.#gesture === 'two') {
      if (Math.abs(now - this.#spread) > PINCH) this.#gesture = 'zooming';
      else if (far) this.#gesture = 'scrolling';
      else return;
    }
    if (this.#gesture === 'zooming') {
      this.#stage.zoomAt(now / this.#spread, x, y);
      this.#stage.pan(-dx / 2, -dy / 2);
      this.#spread = now;
    } else if (this.#gesture === 'scrolling')
      // Each of the two fingers brings half of the way.
      this.#out.wheel((-dx / 2) * SCROLL, (-dy / 2) * SCROLL, this.#stage.locate(x, y));
  }

  #lifted(finger: Finger, cancelled: boolean): void {
    clearTimeout(this.#timer);
    const place = this.#at(finger);
    if (this.#gesture === 'dragging') this.#out.button(0, false, place);
    else if (!cancelled && this.#gesture === 'touching') this.#click(0, place);
    else if (!cancelled && this.#gesture === 'pressed') this.#click(2, place);
    this.#gesture = this.#fingers.size === 0 ? 'none' : 'over';
  }

  #click(button: number, place: Place): void {
    this.#out.button(button, true, place);
    this.#out.button(button, false, place);
  }

  #at(finger: Finger): Place {
    return this.#stage.locate(finger.x, finger.y);
  }
}

function spread([a, b]: Finger[]): number {
  return a && b ? Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1) : 1;
}

const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
