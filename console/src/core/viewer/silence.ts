/**
 * Says within three seconds that nothing comes any more, where the browser takes more
 * than five. A screen that stands still sends nothing, so what is silent is asked once,
 * and only while somebody would notice: while pictures came or something was typed of late.
 */
const BUSY = 10; // looks after a picture or input
const ALIVE = 60; // looks between two pings that only date what is typed after them
const ANSWER_WITHIN = 700; // ms, or a few round trips

type Send = (ping: { case: 'ping'; value: { id: bigint } }) => void;

/** How long an answer may take, in ms. */
export const answerWithin = (roundTripMs = 0): number => Math.max(ANSWER_WITHIN, 3 * roundTripMs);

export class Silence {
  #send: Send;
  #stats: () => Promise<RTCStatsReport>;
  #tell: (silent: boolean) => void;
  #bytes = 0;
  #looks = 0;
  #asked = false; // since something came
  #check: ReturnType<typeof setTimeout> | undefined;
  #within = answerWithin(); // ms, at the last look
  #busy = 0; // looks in which somebody would notice
  #broken = false; // as the browser says
  #silent = false;
  #told = false;

  /** Send is given pings, the first now: they are answered at once. */
  constructor(send: Send, stats: () => Promise<RTCStatsReport>, tell: (silent: boolean) => void) {
    this.#send = send;
    this.#stats = stats;
    this.#tell = tell;
    this.#ping();
  }

  /** Something came. */
  heard(): void {
    this.close();
    this.#asked = this.#silent = false;
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
  look(report: RTCStatsReport, pictures: number, roundTripMs?: number): void {
    this.#busy = pictures > 0 ? BUSY : Math.max(this.#busy - 1, 0);
    this.#within = answerWithin(roundTripMs);
    this.glance(report);
    if (!this.#asked && ++this.#looks % ALIVE === 0) this.#ping();
  }

  /** Between two looks, where nobody waits for who is silent. */
  glance(report: RTCStatsReport): void {
    const came = this.#came(report);
    if (!came && this.#busy > 0 && !this.#asked) this.#ask();
  }

  close(): void {
    clearTimeout(this.#check);
    this.#check = undefined;
  }

  // What is silent has not until the next look to answer.
  #ask(): void {
    this.#asked = true;
    this.#ping();
    const check = setTimeout(async () => {
      const report = await this.#stats();
      if (check !== this.#check || this.#came(report)) return;
      this.#silent = true;
      this.#say();
    }, this.#within);
    this.#check = check;
  }

  #came(report: RTCStatsReport): boolean {
    const bytes = received(report);
    const came = bytes !== this.#bytes;
    this.#bytes = bytes;
    if (came) this.heard();
    return came;
  }

  #ping(): void {
    this.#send({ case: 'ping', value: { id: 1n } });
  }

  #say(): void {
    const now = this.#silent || this.#broken;
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
