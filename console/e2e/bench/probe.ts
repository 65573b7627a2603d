/**
 * What is measured in the page, from outside the product: once in every
 * animation frame the codes of the target (bench/target) are read off the
 * <video> or <canvas> that shows the screen. The same for every product.
 *
 * All times are Unix milliseconds: page, target and agent are on one machine.
 * What is seen is seen at the beginning of the animation frame in which it is
 * read. That there is one only 60 times a second costs 8 ms on average, which are
 * in every latency and age; what reading costs is not. It was 12 to 29 ms for a <video>
 * that is drawn to be read (a look at 15 keys; a <canvas> was not timed): of a <video>
 * only the codes' luma is copied, from one decoded picture.
 */
import type { BrowserContext, JSHandle, Page } from 'playwright-core';

/** A picture of the target, when it was drawn and when it was first seen. */
export type Seen = {
  counter: number;
  drawn: number;
  at: number;
  /** when both ends of it were seen; 0: never */
  whole: number;
};

export type Taken = {
  /** trusted events, by the time at which the browser got them */
  inputs: { type: string; at: number }[];
  seen: Seen[];
  /** when head and corner of the screen were readable for the first time */
  first: number;
  /** peer connections made */
  peers: number;
};

export type Settled = { at: number; worst: number; x: number; y: number; colours: string };

/** Rows of the content that PSNR looks at; the codes lie above and below. */
export const compared = { top: 40, rows: 640, columns: 1280 };

export type Probe = {
  /** Looks at every animation frame from now on, if it does not do so already. */
  wake(): void;
  take(): Taken;
  last: Seen | null;
  wire(): Promise<{ down: number; up: number; decoded: number }>;
  /** The compared part of the next picture that is shown whole and was drawn since. */
  grab(since: number): Promise<{ counter: number; rgb: string }>;
  watch(counter: number, rgb: string): void;
  trace: { at: number; psnr: number }[];
  expect(x: number, y: number, w: number, h: number, bgrx: string, screenWidth: number): void;
  settle(within: number, limit: number): Promise<Settled>;
};

/** Puts the probe into every page of a context; `picture` selects the element to look at. */
export async function installProbe(context: BrowserContext, picture: string): Promise<void> {
  await context.addInitScript(install, { picture, compared });
}

/**
 * The probe of a page, for `.evaluate((p) => …)`. It is woken: a tab that was opened by
 * a page of the same site keeps its window, and the probe in it, from its first, empty
 * document, whose animation frames end with it.
 */
export function probe(page: Page): Promise<JSHandle<Probe>> {
  return page.evaluateHandle(() => {
    const { __probe } = window as unknown as { __probe: Probe };
    __probe.wake();
    return __probe;
  });
}

// Runs in the page: knows nothing of this module.
function install(o: { picture: string; compared: { top: number; rows: number; columns: number } }): void {
  if (window.top !== window) return;
  const [cells, cell, left, top, width, height] = [24, 16, 64, 64, 1280, 720];
  const now = (): number => performance.timeOrigin + performance.now();
  const paint = (w: number, h: number): OffscreenCanvasRenderingContext2D => {
    const g = new OffscreenCanvas(w, h).getContext('2d', { willReadFrequently: true });
    if (!g) throw new Error('no canvas');
    g.imageSmoothingEnabled = false; // the middle of each cell, not a mean
    return g;
  };

  type Shown = { source: VideoFrame | HTMLCanvasElement; scale: number };
  const shown = (): Shown | null => {
    const element = document.querySelector<HTMLVideoElement | HTMLCanvasElement>(o.picture);
    if (!element) return null;
    const video = element instanceof HTMLVideoElement;
    if (video && element.readyState < 2) return null;
    const w = video ? element.videoWidth : element.width;
    if (w < 64) return null;
    try {
      return { source: video ? new VideoFrame(element) : element, scale: w / 1920 };
    } catch {
      return null; // it has data, but no picture yet
    }
  };

  // Codes.
  type Code = { counter: number; ms: number } | null;
  const readCode = (bit: (column: number, row: number) => boolean): Code => {
    const word = (from: number, n: number): number => {
      let v = 0;
      for (let i = from; i < from + n; i++) v = v * 2 + (bit(i % cells, Math.floor(i / cells)) ? 1 : 0);
      return v;
    };
    const [counter, ms] = [word(0, 16), word(16, 20)];
    const check = (Math.imul(counter + 1, 0x9e3779b1) ^ Math.imul(ms + 1, 0x85ebca77)) >>> 20;
    return check === word(36, 12) ? { counter, ms } : null;
  };
  const places = [
    [left, top],
    [left + width - cells * cell, top + height - 2 * cell],
    [1920 - 64 - cells * cell, 1080 - 64 - 2 * cell],
  ] as const;
  const strip = paint(cells, 6);
  const drawCodes = ({ source, scale }: Shown): Code[] => {
    places.forEach(([x, y], i) =>
      strip.drawImage(
        source,
        ...([x * scale, y * scale, cells * cell * scale, 2 * cell * scale, 0, i * 2, cells, 2] as const),
      ),
    );
    const { data } = strip.getImageData(0, 0, cells, 6);
    return [0, 2, 4].map((top) =>
      readCode((column, row) => (data[((top + row) * cells + column) * 4 + 1] ?? 0) > 127),
    );
  };
  const copyCodes = (frame: VideoFrame): Promise<Code[]> =>
    Promise.all(
      places.map(async ([x, y]) => {
        const rect = { x, y, width: cells * cell, height: 2 * cell };
        const luma = new Uint8Array(frame.allocationSize({ rect }));
        const [{ offset, stride } = { offset: 0, stride: rect.width }] = await frame.copyTo(luma, { rect });
        const middle = offset + (cell / 2) * stride + cell / 2;
        return readCode((column, row) => (luma[middle + row * cell * stride + column * cell] ?? 0) > 127);
      }),
    );

  // Fidelity.
  const big = paint(o.compared.columns, o.compared.rows);
  const pixels = ({ source, scale }: Shown): Uint8ClampedArray => {
    const { columns: w, rows: h } = o.compared;
    big.drawImage(
      source,
      ...([left * scale, (top + o.compared.top) * scale, w * scale, h * scale, 0, 0, w, h] as const),
    );
    return big.getImageData(0, 0, w, h).data;
  };
  const psnr = (rgba: Uint8ClampedArray, rgb: Uint8Array): number => {
    let sum = 0;
    for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) {
      const r = (rgba[i] ?? 0) - (rgb[j] ?? 0);
      const g = (rgba[i + 1] ?? 0) - (rgb[j + 1] ?? 0);
      const b = (rgba[i + 2] ?? 0) - (rgb[j + 2] ?? 0);
      sum += r * r + g * g + b * b;
    }
    return sum === 0 ? 99 : 10 * Math.log10((255 * 255 * rgb.length) / sum);
  };
  const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const text = (data: Uint8Array): string => {
    let s = '';
    for (let i = 0; i < data.length; i += 32768) s += String.fromCharCode(...data.subarray(i, i + 32768));
    return btoa(s);
  };

  // Every animation frame.
  const newest = { inputs: [], seen: [], first: 0 } as Omit<Taken, 'peers'>;
  let wanted: { counter: number; rgb: Uint8Array } | null = null;
  let grabbing: { since: number; done(g: { counter: number; rgb: string }): void } | null = null;
  let frames = 0;
  let copied = Promise.resolve();
  const look = (): void => {
    const at = now();
    const s = shown();
    if (!s) return;
    const { source, scale } = s;
    if (source instanceof HTMLCanvasElement) return note(s, drawCodes(s), at);
    copied = copied
      .then(() => (scale === 1 ? copyCodes(source) : drawCodes(s)))
      .then((codes) => note(s, codes, at))
      .catch(() => undefined) // the size changes this moment
      .finally(() => source.close());
  };
  const note = (s: Shown, [head, tail, corner]: Code[], at: number): void => {
    if (!head) return;
    if (!newest.first && corner?.counter === 0xc0de && corner.ms === 0) newest.first = at;
    const ago = (((Math.floor(at) - head.ms) % 0x100000) + 0x100000) % 0x100000;
    const drawn = Math.floor(at) - (ago > 0x80000 ? ago - 0x100000 : ago);
    let last = p.last;
    if (!last || last.counter !== head.counter || Math.abs(last.drawn - drawn) > 1) {
      last = p.last = { counter: head.counter, drawn, at, whole: 0 };
      newest.seen.push(last);
    }
    const whole = tail?.counter === head.counter && tail.ms === head.ms;
    if (whole && !last.whole) last.whole = at;
    if (whole && grabbing && drawn >= grabbing.since) {
      const rgba = pixels(s);
      const rgb = new Uint8Array((rgba.length / 4) * 3);
      for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) rgb.set(rgba.subarray(i, i + 3), j);
      grabbing.done({ counter: head.counter, rgb: text(rgb) });
      grabbing = null;
    }
    // Looking closely costs time that the page needs for decoding: not in every frame.
    if (wanted?.counter === head.counter && frames++ % 3 === 0) {
      p.trace.push({ at, psnr: psnr(pixels(s), wanted.rgb) });
    }
  };
  let [run, ticked] = [0, 0];
  const loop = (mine: number): void => {
    if (mine !== run) return;
    ticked = now();
    requestAnimationFrame(() => loop(mine));
    look();
  };
  for (const type of ['keydown', 'click']) {
    window.addEventListener(
      type,
      (e) => e.isTrusted && newest.inputs.push({ type, at: performance.timeOrigin + e.timeStamp }),
      { capture: true },
    );
  }

  // What went over the wire: peer connections count for themselves, WebSockets are counted here.
  const peers: RTCPeerConnection[] = [];
  const NativePeer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends NativePeer {
    constructor(config?: RTCConfiguration) {
      super(config);
      peers.push(this);
    }
  };
  const sockets = { down: 0, up: 0 };
  const size = (data: unknown): number => {
    const n =
      typeof data === 'string'
        ? data.length
        : data instanceof Blob
          ? data.size
          : ((data as ArrayBuffer | ArrayBufferView).byteLength ?? 0);
    return n + (n < 126 ? 2 : n < 65536 ? 4 : 10); // the frame's header
  };
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    sockets.up += size(data) + 4; // masked
    send.call(this, data);
  };
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(Native, args: [string, string[]]) {
      const socket = new Native(...args);
      socket.addEventListener('message', (e) => (sockets.down += size(e.data)));
      return socket;
    },
  });

  // The whole picture against the screen, in luma as it was decoded.
  let screen = { width: 0, rgb: new Uint8Array(0), luma: new Uint8Array(0), colours: '' };
  const weights: Record<string, [number, number, number]> = {
    bt709: [0.2126, 0.7152, 0.0722],
    smpte170m: [0.299, 0.587, 0.114],
    bt470bg: [0.299, 0.587, 0.114],
  };
  const lumaOf = (colours: string, from: number, to: number): void => {
    const [matrix = '', range] = colours.split(' ');
    const [r, g, b] = weights[matrix] ?? [0.2126, 0.7152, 0.0722];
    const [base, scale] = range === 'full' ? [0, 1] : [16, 219 / 255];
    const { rgb, luma } = screen;
    for (let i = from, j = from * 3; i < to; i++, j += 3) {
      luma[i] = Math.round(
        base + scale * (r * (rgb[j] ?? 0) + g * (rgb[j + 1] ?? 0) + b * (rgb[j + 2] ?? 0)),
      );
    }
  };
  const compareLuma = async (): Promise<Settled | null> => {
    const element = document.querySelector(o.picture);
    if (!(element instanceof HTMLVideoElement) || element.readyState < 2) return null;
    const frame = new VideoFrame(element);
    try {
      const colours = `${frame.colorSpace.matrix ?? 'unknown'} ${frame.colorSpace.fullRange ? 'full' : 'limited'}`;
      const { width: w, height: h } = frame.visibleRect ?? { width: 0, height: 0 };
      const at = now();
      if (w !== screen.width || w * h !== screen.luma.length) return { at, worst: 255, x: 0, y: 0, colours };
      const planes = new Uint8Array(frame.allocationSize());
      const [{ offset, stride } = { offset: 0, stride: w }] = await frame.copyTo(planes);
      if (colours !== screen.colours) {
        screen.colours = colours;
        lumaOf(colours, 0, screen.luma.length);
      }
      let [worst, place] = [0, 0];
      for (let y = 0, i = 0; y < h; y++) {
        for (let j = offset + y * stride, end = j + w; j < end; j++, i++) {
          const d = Math.abs((planes[j] ?? 0) - (screen.luma[i] ?? 0));
          if (d > worst) [worst, place] = [d, i];
        }
      }
      if (!colours.endsWith('full')) worst *= 255 / 219;
      return { at, worst, x: place % w, y: Math.floor(place / w), colours };
    } finally {
      frame.close();
    }
  };

  const p: Probe = {
    wake() {
      if (now() - ticked > 250) requestAnimationFrame(loop.bind(null, ++run));
    },
    last: null,
    trace: [],
    take() {
      const taken: Taken = { ...newest, peers: peers.length };
      newest.inputs = [];
      newest.seen = [];
      return taken;
    },
    async wire() {
      const sum = { ...sockets, decoded: 0 };
      for (const peer of peers) {
        if (peer.connectionState === 'closed') continue;
        (await peer.getStats()).forEach((s: Record<string, unknown>) => {
          if (s['type'] === 'transport') {
            sum.down += Number(s['bytesReceived'] ?? 0);
            sum.up += Number(s['bytesSent'] ?? 0);
          }
          if (s['type'] === 'inbound-rtp') sum.decoded += Number(s['framesDecoded'] ?? 0);
        });
      }
      return sum;
    },
    grab: (since) => new Promise((done) => (grabbing = { since, done })),
    watch(counter, rgb) {
      p.trace = [];
      wanted = rgb ? { counter, rgb: bytes(rgb) } : null;
    },
    expect(x, y, w, h, bgrx, screenWidth) {
      const from = bytes(bgrx);
      if (screen.width !== screenWidth || w === screenWidth) {
        screen = { width: w, rgb: new Uint8Array(w * h * 3), luma: new Uint8Array(w * h), colours: '' };
      }
      for (let row = 0; row < h; row++) {
        const start = (y + row) * screen.width + x;
        for (let i = 0, j = row * w * 4, k = start * 3; i < w; i++, j += 4, k += 3) {
          screen.rgb[k] = from[j + 2] ?? 0;
          screen.rgb[k + 1] = from[j + 1] ?? 0;
          screen.rgb[k + 2] = from[j] ?? 0;
        }
        if (screen.colours) lumaOf(screen.colours, start, start + w);
      }
    },
    async settle(within, limit) {
      const end = now() + within;
      for (;;) {
        await new Promise((next) => requestAnimationFrame(next));
        const found = await compareLuma();
        if (found && (found.worst <= limit || now() > end)) return found;
        if (now() > end) return { at: now(), worst: 255, x: 0, y: 0, colours: 'no picture' };
      }
    },
  };
  p.wake();
  (window as unknown as { __probe: Probe }).__probe = p;
}
