/** The time, for 'three minutes ago': moves on every 10 seconds while the page is seen. */
class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => document.hidden || this.tick(), 10_000);
    document.addEventListener('visibilitychange', () => document.hidden || this.tick());
  }

  tick(): void {
    this.now = Date.now();
  }
}

export const clock = new Clock();
