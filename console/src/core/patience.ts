/** Tries until it is done: at once, after growing pauses, and when the network or the page is back. */
const FIRST_PAUSE = 1_000; // ms
const LONGEST_PAUSE = 10_000;

export class Patience {
  readonly #work: () => Promise<void>;
  readonly #ontrouble: (trouble: boolean) => void;
  readonly #gone = new AbortController();
  #pause = FIRST_PAUSE;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;

  /** ontrouble hears of each try how it went. */
  constructor(work: () => Promise<void>, ontrouble: (trouble: boolean) => void) {
    this.#work = work;
    this.#ontrouble = ontrouble;
    const { signal } = this.#gone;
    window.addEventListener('online', () => this.now(), { signal });
    document.addEventListener(
      'visibilitychange',
      () => document.visibilityState === 'visible' && this.now(),
      { signal },
    );
    this.now();
  }

  /** Tries now, unless it is being tried or done. */
  now(): void {
    if (!this.#busy && !this.#gone.signal.aborted) void this.#try();
  }

  stop(): void {
    this.#gone.abort();
    clearTimeout(this.#timer);
  }

  async #try(): Promise<void> {
    clearTimeout(this.#timer);
    this.#busy = true;
    try {
      await this.#work();
      this.stop();
      this.#ontrouble(false);
    } catch {
      this.#busy = false;
      if (this.#gone.signal.aborted) return;
      this.#ontrouble(true);
      this.#timer = setTimeout(() => this.now(), this.#pause * (0.5 + Math.random() / 2));
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    }
  }
}
