/** The time, for 'three minutes ago': moves on every 10 seconds while the page is seen. */
class Clock {
  now = $state(Date.now());
  /** The page is seen: it is not in a tab behind another. */
  seen = $state(!document.hidden);

  constructor() {
    setInterval(() => this.tick(), 10_000);
    document.addEventListener('visibilitychange', () => this.tick());
  }

  private tick(): void {
    this.seen = !document.hidden;
    if (this.seen) this.now = Date.now();
  }
}

export const clock = new Clock();
