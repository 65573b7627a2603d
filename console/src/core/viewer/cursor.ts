/**
 * The remote cursor, drawn here so that it never lags. Where the operator's
 * own mouse points, its shape becomes the browser's cursor, which the system
 * moves without asking the page. In all other cases (fingers, view only,
 * somebody else moving it) it is drawn over the picture where the agent says.
 */
import type { Stage } from './stage';
import type { CursorPlace, CursorShape } from '../wire/oriel/v1/channel_pb';

const LARGEST_NATIVE = 128; // browsers refuse larger ones

export class RemoteCursor {
  #stage: Stage;
  #canvas = document.createElement('canvas');
  #shape: { width: number; height: number; hotX: number; hotY: number } | undefined;
  #url: string | undefined;
  #drawing = 0; // tells the newest shape from older ones still being encoded
  #place: { x: number; y: number } | undefined;
  #mouse = true; // and not fingers
  #mine = false; // the operator's mouse put it where it is

  /** False in view only: the operator's own cursor stays what it is. */
  controls = false;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#canvas.className = 'stage-cursor';
    this.#canvas.hidden = true;
    stage.picture.append(this.#canvas);
  }

  /** A shape of width or height 0 is a hidden cursor. Shapes that do not fit their picture are ignored. */
  setShape(shape: CursorShape): void {
    const { width, height, rgba, hotX, hotY } = shape;
    const drawing = ++this.#drawing;
    if (width === 0 || height === 0) {
      this.#shape = undefined;
      this.#useUrl(undefined);
      return this.draw();
    }
    if (width > 256 || height > 256 || rgba.length !== width * height * 4) return;
    this.#shape = { width, height, hotX: Math.min(hotX, width - 1), hotY: Math.min(hotY, height - 1) };
    this.#canvas.width = width;
    this.#canvas.height = height;
    const pixels = new ImageData(new Uint8ClampedArray(rgba), width, height);
    this.#canvas.getContext('2d')?.putImageData(pixels, 0, 0);
    if (Math.max(width, height) > LARGEST_NATIVE) this.#useUrl(undefined);
    else
      this.#canvas.toBlob((blob) => {
        if (blob && drawing === this.#drawing) this.#useUrl(URL.createObjectURL(blob));
      });
    this.draw();
  }

  setPlace(place: CursorPlace): void {
    this.#place = { x: place.x / 65536, y: place.y / 65536 };
    this.#mine = place.local;
    this.draw();
  }

  /** The operator's mouse points here, and the remote cursor follows. */
  follow(place: { x: number; y: number }): void {
    this.#place = { x: place.x / 65536, y: place.y / 65536 };
    this.#mine = true;
    // Under the mouse the browser's cursor has moved already.
    if (this.#url && this.#mouse) this.#canvas.hidden = true;
    else this.draw();
  }

  /** Fingers do not show a cursor of their own. */
  setMouse(here: boolean): void {
    if (this.#mouse === here) return;
    this.#mouse = here;
    this.draw();
  }

  draw(): void {
    const { picture, shown, size } = this.#stage;
    const shape = this.#shape;
    const native = this.controls && this.#url !== undefined && shape !== undefined;
    picture.style.cursor = !this.controls
      ? 'default'
      : native
        ? `url(${this.#url}) ${shape.hotX} ${shape.hotY}, default`
        : this.#drawing > 0
          ? 'none'
          : 'default';
    const hidden = !shape || !this.#place || (native && this.#mouse && this.#mine);
    this.#canvas.hidden = hidden;
    if (hidden || !shape || !this.#place) return;
    const x = this.#place.x * size.width - shape.hotX;
    const y = this.#place.y * size.height - shape.hotY;
    this.#canvas.style.transform = `scale(${shown}) translate(${x}px, ${y}px)`;
  }

  close(): void {
    this.#useUrl(undefined);
    this.#canvas.remove();
  }

  #useUrl(url: string | undefined): void {
    const old = this.#url;
    this.#url = url;
    this.draw();
    if (old !== undefined) URL.revokeObjectURL(old);
  }
}
