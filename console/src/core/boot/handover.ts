/**
 * Handover is what a tab that opens on a viewer has begun before its pages were there, for
 * those who would begin it otherwise; each part may be taken once. First, by the first
 * script that runs (main.ts, which makes the one there is): the socket to the relay, handed
 * off by the page that opened the tab if it can (relay/handoff.ts), and the offer of a
 * session, which need none of the protocol. Then, when the viewer is loaded (prestart.ts):
 * the session itself. Of a click's way to the first picture the rest of the console was a
 * third: 140 ms until it had run, and 80 in which it kept what arrived from being read.
 *
 * It knows no more than the types of most of it, so that a list does not load a viewer.
 */
import { takeHandoff, type SocketHandoff } from '../relay/handoff';
import type { Live, LiveOptions } from '../relay/live';
import { liveUrl } from '../relay/url';
import { makeOffer, type Offer, type OfferOptions } from '../viewer/offer';
import type { Viewer } from '../viewer/viewer';

export class Handover {
  #handoff: SocketHandoff | undefined;
  #socket: WebSocket | undefined;
  #heard: (() => void)[] = []; // on #socket, to be heard again
  #offer: { offer: Offer; options: OfferOptions } | undefined;
  #live: Live | undefined;
  #viewer: { viewer: Viewer; live: Live; computerId: string } | undefined;

  begin(options: OfferOptions): void {
    this.#handoff = takeHandoff();
    if (!this.#handoff) this.#open();
    this.#offer = { offer: makeOffer(options, this.#handoff?.iceServers), options };
  }

  #open(): void {
    const socket = (this.#socket = new WebSocket(liveUrl()));
    socket.binaryType = 'arraybuffer';
    socket.onopen = (event) => this.#heard.push(() => socket.onopen?.(event));
    socket.onmessage = (event) => this.#heard.push(() => socket.onmessage?.(event));
    socket.onclose = (event) => this.#heard.push(() => socket.onclose?.(event));
  }

  /** What a live connection begins with: the socket of another page, or the one opened here. */
  takeSocket(): Pick<LiveOptions, 'open' | 'handoff'> {
    const handoff = this.#handoff;
    this.#handoff = undefined;
    return { handoff, open: (url) => this.#takeOpened() ?? new WebSocket(url) };
  }

  // What the socket has heard is heard again, by those who listen when this task is done.
  #takeOpened(): WebSocket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) queueMicrotask(() => this.#heard.splice(0).forEach((again) => again()));
    return socket;
  }

  takeOffer(options: OfferOptions): Offer | undefined {
    const made = this.#offer;
    this.#offer = undefined;
    if (!made) return undefined;
    const same = made.options.codec === options.codec && made.options.relayOnly === options.relayOnly;
    if (!same) made.offer.pc.close();
    return same ? made.offer : undefined;
  }

  /** A session has begun with these. */
  begun(live: Live, viewer: Viewer, computerId: string): void {
    this.#live = live;
    this.#viewer = { viewer, live, computerId };
    // A viewer that nobody took goes with its connection, or with the page.
    live.on('state', (state) => (state === 'signed-out' || state === 'closed') && this.drop());
    window.addEventListener('pagehide', (event) => event.persisted || this.drop());
  }

  takeLive(): Live | undefined {
    const live = this.#live;
    this.#live = undefined;
    return live?.state === 'signed-out' ? undefined : live;
  }

  /** The viewer of that computer on that connection. */
  takeViewer(live: Live, computerId: string): Viewer | undefined {
    const begun = this.#viewer;
    if (begun?.live !== live || begun.computerId !== computerId) return undefined;
    this.#viewer = undefined;
    return begun.viewer;
  }

  /** Ends a session that nobody has taken. */
  drop(): void {
    this.#viewer?.viewer.close(true);
    this.#viewer = undefined;
  }
}
