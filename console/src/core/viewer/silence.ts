/**
 * Says within three seconds that nothing comes any more, where the browser takes more
 * than five. A screen that stands still sends nothing, so what is silent is asked once,
 * and only while somebody would notice: while pictures came or something was typed of late.
 */
const BUSY = 10; // looks after a picture or input
const ALIVE = 60; // looks between two pings that only date what is typed after them
const AT_LEAST = 1; // looks that an answer may take, and twice the round trip

type Send = (ping: { case: 'ping'; value: { id: bigint } }) => void;

export class Silence {
  #send: Send;
  #tell: (silent: boolean) => void;
  #bytes = 0;
  #looks = 0;
  #quiet = 0; // looks since something came
  #asked = -1; // looks since it was asked; -1: it was not
  #busy = 0; // looks in which somebody would notice
  #broken = false; // as the browser says
  #told = false;

  /** Send is given pings, the first now: they are answered at once. */
  constructor(send: Send, tell: (silent: boolean) => void) {
    this.#send = send;
    this.#tell = tell;
    this.#ask();
  }

  /** Something came. */
  heard(): void {
    this.#quiet = 0;
    this.#asked = -1;
    this.#say();
  }

  /** Something was typed or clicked. */
  used(): void {
    this.#busy = BUSY;
  }

  set broken(broken: boolean) {
    this.#broken = broken;
    this.#say();
  }

  /** Once a second, with the connection's figures. */
  look(report: RTCStatsReport, pictures: number, roundTripMs = 0): void {
    const bytes = received(report);
    if (bytes !== this.#bytes) this.heard();
    else this.#quiet++;
    this.#bytes = bytes;
    this.#busy = pictures > 0 ? BUSY : Math.max(this.#busy - 1, 0);
    if (this.#asked >= 0) this.#asked++;
    else if (this.#quiet > 0 && this.#busy > 0) {
      this.#asked = 0;
      this.#ask();
    } else if (++this.#looks % ALIVE === 0) this.#ask();
    this.#say(this.#asked >= Math.max(AT_LEAST, Math.ceil((roundTripMs * 2) / 1000)));
  }

  #ask(): void {
    this.#send({ case: 'ping', value: { id: 1n } });
  }

  #say(silent = false): void {
    const now = silent || this.#broken;
    if (now === this.#told) return;
    this.#told = now;
    this.#tell(now);
  }
}

/** Bytes of all kinds: the other side acknowledges what is typed, even where it shows nothing. */
export function received(report: RTCStatsReport): number {
  let bytes = 0;
  report.forEach((entry: { type: string; bytesReceived?: number }) => {
    if (entry.type === 'candidate-pair') bytes += entry.bytesReceived ?? 0;
  });
  return bytes;
}
