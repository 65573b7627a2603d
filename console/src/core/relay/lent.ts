/**
 * A tab that a click opens begins with the socket of the page that was clicked in,
 * which is open and greeted, and saves the two round trips to one of its own. The page
 * goes on with a new one (live.ts); the tab finds it through `window.opener`, which
 * only pages of this origin see into.
 *
 * The socket stays part of the lender's page: it is dead when that page is, and the
 * tab moves to one of its own as soon as that delays nothing.
 */
import type { Live } from './live';
import type { Servers } from '../viewer/offer';

export interface Lent {
  /** Watches nothing any more. What it delivers is of the lender's realm, no instance of this one's classes. */
  readonly socket: WebSocket;
  /** The relay's greeting, encoded, with the ICE servers as they are now. */
  readonly welcome: Uint8Array;
  /** Those servers, for who cannot read it yet. */
  readonly iceServers: Servers[];
  /** Called when the lender goes; whoever has the socket listens here. */
  ongone?: (() => void) | undefined;
}

declare global {
  interface Window {
    /** Gives the borrower a socket, each once; undefined: there is none to spare. */
    orielLend?: (borrower: Window) => Lent | undefined;
  }
}

/** Lends to the tabs that this page opens. */
export function lendFrom(live: () => Live | undefined): void {
  const out = new Set<Lent>();
  const recall = () => {
    for (const lent of out) {
      lent.socket.close(); // nobody would hear it die with the page
      lent.ongone?.();
    }
    out.clear();
  };
  window.addEventListener('pagehide', recall);
  document.addEventListener('freeze', recall);
  window.orielLend = (borrower) => {
    const lent = live()?.lend();
    if (!lent) return undefined;
    out.add(lent);
    const back = () => {
      lent.socket.close();
      out.delete(lent);
    };
    // Nobody else closes it when the tab goes; which says goodbye in the same event.
    borrower.addEventListener('pagehide', () => setTimeout(back));
    return lent;
  };
}

/** The socket of the page that opened this one, if there is such a page, and it has one to spare. */
export function borrow(): Lent | undefined {
  try {
    return (window.opener as Window | null)?.orielLend?.(window);
  } catch {
    return undefined; // it is another site's by now
  }
}
