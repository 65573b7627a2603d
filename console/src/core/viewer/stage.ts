/**
 * Where the remote picture is shown: the elements, their size under fit, 1:1
 * and zoom, and the way from a place on the page to a place in the picture.
 * Sizes are set through the CSSOM, since the console's policy allows no style
 * attributes. The look is in styles/stage.css.
 */

/** 'fit' (reduced to fit, never enlarged), or how many device pixels a remote pixel takes: 1 is 1:1. */
export type Scale = 'fit' | number;

/** A place in the picture in 1/65536 of its width and height. */
export interface Place {
  x: number;
  y: number;
}

export const MIN_SCALE = 0.1;
export const MAX_SCALE = 8;

export class Stage {
  /** Scrolls when the picture is larger than the page; takes focus and input. */
  readonly root: HTMLDivElement;
  readonly picture: HTMLDivElement;
  readonly video: HTMLVideoElement;
  /** The last picture of a connection that was lost, above the video. */
  readonly still: HTMLCanvasElement;
  readonly field: HTMLTextAreaElement;

  /** Called after every change of layout. */
  onlayout: () => void = () => undefined;

  #screen = { width: 0, height: 0 };
  #scale: Scale = 'fit';
  #shown = 1; // CSS pixels that a remote pixel takes
  #gone = new AbortController();
  #observer: ResizeObserver;

  constructor() {
    this.root = element('div', 'stage');
    this.root.tabIndex = 0;
    this.root.setAttribute('role', 'application');
    this.picture = element('div', 'stage-picture');
    this.video = element('video', 'stage-video');
    this.video.muted = true;
    this.video.autoplay = true;
    this.video.playsInline = true;
    this.video.disablePictureInPicture = true;
    this.still = element('canvas', 'stage-still');
    this.still.hidden = true;
    this.field = element('textarea', 'stage-field');
    this.field.tabIndex = -1;
    this.field.autocapitalize = 'off';
    this.field.spellcheck = false;
    this.field.setAttribute('autocomplete', 'off');
    this.field.setAttribute('autocorrect', 'off');
    this.picture.append(this.video, this.still);
    this.root.append(this.picture, this.field);

    const { signal } = this.#gone;
    this.video.addEventListener('resize', () => this.layout(), { signal });
    this.video.addEventListener('loadedmetadata', () => this.layout(), { signal });
    this.#observer = new ResizeObserver(() => this.layout());
    this.#observer.observe(this.root);
    this.#watchDensity();
    this.layout();
  }

  /** Goes into the page, or to another place in it; label is what a screen reader calls the picture. */
  moveTo(target: HTMLElement, label: string): void {
    for (const named of [this.root, this.field]) named.setAttribute('aria-label', label);
    target.append(this.root);
  }

  /** The picture's size in remote pixels; 0 before the first picture. */
  get size(): { width: number; height: number } {
    return this.#halved ? this.#screen : { width: this.video.videoWidth, height: this.video.videoHeight };
  }

  /**
   * Takes the remote screen's own size, where it is known. The picture is of that size, or of
   * half of it while more moves than the agent can encode; of any other just before or after a
   * change.
   */
  setScreen(screen: { width: number; height: number } | undefined): void {
    if (!screen) return;
    this.#screen = { width: screen.width, height: screen.height };
    this.layout();
  }

  get #halved(): boolean {
    const [width, height] = [Math.ceil(this.#screen.width / 2), Math.ceil(this.#screen.height / 2)];
    return width > 0 && this.video.videoWidth === width && this.video.videoHeight === height;
  }

  get scale(): Scale {
    return this.#scale;
  }

  set scale(scale: Scale) {
    this.#scale = scale === 'fit' ? scale : Math.min(Math.max(scale, MIN_SCALE), MAX_SCALE);
    this.layout();
  }

  /** CSS pixels that a remote pixel takes now. */
  get shown(): number {
    return this.#shown;
  }

  /** The scale in device pixels, whatever the mode. */
  get percent(): number {
    return Math.round(this.#shown * devicePixelRatio * 100);
  }

  get overflows(): boolean {
    return this.root.scrollWidth > this.root.clientWidth || this.root.scrollHeight > this.root.clientHeight;
  }

  /** Scales by factor and keeps what is at this place of the page where it is. */
  zoomAt(factor: number, clientX: number, clientY: number): void {
    const before = this.picture.getBoundingClientRect();
    const [u, v] = [(clientX - before.left) / before.width, (clientY - before.top) / before.height];
    this.scale = this.#shown * devicePixelRatio * factor;
    const after = this.picture.getBoundingClientRect();
    this.pan(after.left + u * after.width - clientX, after.top + v * after.height - clientY);
  }

  pan(dx: number, dy: number): void {
    this.root.scrollLeft += dx;
    this.root.scrollTop += dy;
  }

  layout(): void {
    const { width, height } = this.size;
    if (width === 0 || height === 0) return;
    // Never enlarged: that is blurred, and took Chromium 8 ms of each picture at 104 %.
    const fit = Math.min(1, this.root.clientWidth / width, this.root.clientHeight / height);
    this.#shown = this.#scale === 'fit' ? fit : this.#scale / devicePixelRatio;
    this.root.classList.toggle('is-fit', this.#scale === 'fit');
    const crisp = !this.#halved && Math.abs(this.#shown * devicePixelRatio - 1) < 0.001;
    this.picture.classList.toggle('is-crisp', crisp);
    this.picture.style.width = `${width * this.#shown}px`;
    this.picture.style.height = `${height * this.#shown}px`;
    this.onlayout();
  }

  /** The place in the picture under a place of the page; the nearest edge for one outside. */
  locate(clientX: number, clientY: number): Place {
    const box = this.picture.getBoundingClientRect();
    const { width, height } = this.size;
    return {
      x: middle((clientX - box.left) / box.width, width),
      y: middle((clientY - box.top) / box.height, height),
    };
  }

  /** Shows the last picture for as long as there is no new one. */
  freeze(): void {
    const { width, height } = this.size;
    if (width === 0 || height === 0 || !this.still.hidden) return;
    this.still.width = width;
    this.still.height = height;
    this.still.getContext('2d')?.drawImage(this.video, 0, 0, width, height);
    this.still.hidden = false;
  }

  get frozen(): boolean {
    return !this.still.hidden;
  }

  thaw(): void {
    this.still.hidden = true;
    this.still.width = this.still.height = 0;
  }

  close(): void {
    this.#gone.abort();
    this.#observer.disconnect();
    this.video.srcObject = null;
    this.root.remove();
  }

  // The ratio changes when the window moves to another screen or the page is zoomed.
  #watchDensity(): void {
    const { signal } = this.#gone;
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    const changed = () => {
      this.layout();
      if (!signal.aborted) this.#watchDensity();
    };
    query.addEventListener('change', changed, { once: true, signal });
  }
}

// The middle of the remote pixel, so that the agent's rounding finds the same pixel again.
function middle(part: number, pixels: number): number {
  if (!Number.isFinite(part)) return 0;
  if (pixels === 0) return Math.min(Math.max(Math.floor(part * 65536), 0), 65535);
  const pixel = Math.min(Math.max(Math.floor(part * pixels), 0), pixels - 1);
  return Math.floor(((pixel + 0.5) / pixels) * 65536);
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}
