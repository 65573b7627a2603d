/**
 * How long decoded pictures wait for the screen, by requestVideoFrameCallback:
 * from presentationTime, when a picture is handed to the compositor (in Chromium
 * 0.3 ms after it is decoded), to expectedDisplayTime. A callback a picture is
 * work for the page, so there is none unless it is asked for.
 */
export class PresentationDelay {
  #video: HTMLVideoElement;
  #handle: number | undefined; // of the callback that is due
  #every = false;
  #sum = 0;
  #count = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  /** Measures every picture from now on, or none. */
  set every(on: boolean) {
    this.#every = on;
    if (on) this.next();
    else this.close();
  }

  /** Measures the next picture, where the browser can. */
  next(): void {
    if (this.#handle !== undefined || !('requestVideoFrameCallback' in this.#video)) return;
    this.#handle = this.#video.requestVideoFrameCallback((_now, frame) => {
      this.#handle = undefined;
      // A picture that came while the one before was shown has a place in the
      // past, which says nothing of its own: the next one is asked.
      const waited = frame.expectedDisplayTime - frame.presentationTime;
      if (waited > 0) {
        this.#sum += waited;
        this.#count++;
      }
      if (this.#every || waited <= 0) this.next();
    });
  }

  /** The mean since the last take, in ms; undefined if nothing was measured. */
  take(): number | undefined {
    const mean = this.#count > 0 ? this.#sum / this.#count : undefined;
    this.#sum = this.#count = 0;
    return mean;
  }

  close(): void {
    if (this.#handle !== undefined) this.#video.cancelVideoFrameCallback(this.#handle);
    this.#handle = undefined;
  }
}
