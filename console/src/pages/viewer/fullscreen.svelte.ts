/** Full screen, with the system's own shortcuts going to the remote side where the browser allows it. */
export class FullScreen {
  on = $state(document.fullscreenElement !== null);
  #target: () => HTMLElement | undefined;

  constructor(target: () => HTMLElement | undefined) {
    this.#target = target;
    $effect(() => {
      const look = () => {
        this.on = document.fullscreenElement !== null;
        if (!this.on) keyboard()?.unlock();
      };
      document.addEventListener('fullscreenchange', look);
      return () => document.removeEventListener('fullscreenchange', look);
    });
  }

  toggle(): void {
    if (document.fullscreenElement) return void document.exitFullscreen();
    // A browser may refuse (an embedding page, a phone): then everything stays as it is.
    this.#target()
      ?.requestFullscreen({ navigationUI: 'hide' })
      .then(() => keyboard()?.lock())
      .catch(() => undefined);
  }
}

interface KeyboardLock {
  lock(codes?: string[]): Promise<void>;
  unlock(): void;
}

// Chromium's; not yet in TypeScript's library.
const keyboard = () => (navigator as { keyboard?: KeyboardLock }).keyboard;
