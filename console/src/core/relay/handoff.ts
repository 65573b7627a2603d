/**
 * Socket handoff: a tab that a click opens begins with the socket of the page that was
 * clicked in, which is open and greeted, and saves the two round trips to one of its own.
 * The page goes on with a new one (live.ts); the tab finds it through `window.opener`,
 * which only pages of this origin see into.
 *
 * The socket stays part of the giver's page: it is dead when that page is, and the
 * tab moves to one of its own as soon as that delays nothing.
 *
 * Tried beside it on 2026-11-30: a SharedWorker with one socket for all tabs of the browser.
 * Five clicks each in turn, on a busy machine: 384 to 1135 ms to a new tab's picture, median 636;
 * 456 to 992, median 674, with this, which is no difference; processor time was alike, and the
 * memory of a list and three viewers: 321 MB, 316 with this. It spared a socket for each tab but
 * the first, and cost a file and 32 lines more. But the relay tells tabs apart by their sockets:
 * of two tabs that waited for one computer the older waited for ever, a tab's bounds were the
 * browser's, two tabs could name one ICE ticket, and of a tab gone without a word only a lock
 * told. Chrome on Android lacks such workers before 148, and may end one without saying so.
 */
import type { Servers } from './ice';

export interface SocketHandoff {
  /** Watches nothing any more. What it delivers is of the giver's realm, no instance of this one's classes. */
  readonly socket: WebSocket;
  /** The relay's greeting, encoded, with the ICE servers as they are now. */
  readonly welcome: Uint8Array;
  /** Those servers, for who cannot read it yet. */
  readonly iceServers: Servers[];
  /** Called when the giver goes; whoever has the socket listens here. */
  ongone?: (() => void) | undefined;
}

/** What has a socket to hand off, each once; undefined: there is none to spare. */
interface Giver {
  handOff(): SocketHandoff | undefined;
}

declare global {
  interface Window {
    /** Gives the taker a socket; undefined: there is none to spare. */
    orielHandOff?: (taker: Window) => SocketHandoff | undefined;
  }
}

/** Hands sockets off to the tabs that this page opens. */
export function offerHandoff(live: () => Giver | undefined): void {
  const out = new Set<SocketHandoff>();
  const recall = () => {
    for (const handoff of out) {
      handoff.socket.close(); // nobody would hear it die with the page
      handoff.ongone?.();
    }
    out.clear();
  };
  window.addEventListener('pagehide', recall);
  document.addEventListener('freeze', recall);
  window.orielHandOff = (taker) => {
    const handoff = live()?.handOff();
    if (!handoff) return undefined;
    out.add(handoff);
    const back = () => {
      handoff.socket.close();
      out.delete(handoff);
    };
    // Nobody else closes it when the tab goes; which says goodbye in the same event.
    taker.addEventListener('pagehide', () => setTimeout(back));
    return handoff;
  };
}

/** The socket of the page that opened this one, if there is such a page, and it has one to spare. */
export function takeHandoff(): SocketHandoff | undefined {
  try {
    return (window.opener as Window | null)?.orielHandOff?.(window);
  } catch {
    return undefined; // it is another site's by now
  }
}
