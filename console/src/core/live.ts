/**
 * The one WebSocket of a tab (/live/v1, protocol/oriel/v1/live.proto):
 * snapshots and deltas of what the page watches, and signalling.
 *
 * It connects by itself and again after every loss, with growing, jittered
 * pauses; at once when the browser says that the network is back or the page
 * is seen again. After each connection it says anew what is watched; whoever
 * has a session attaches it on 'welcome'. Only a sign-out ends it.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ahead } from './ahead';
import { decode, encode } from './codec';
import { Emitter } from './emitter';
import {
  FromConsoleSchema,
  ToConsoleSchema,
  type FromConsole,
  type LiveWelcome,
  type ToConsole,
} from './wire/oriel/v1/live_pb';
import type { IceServer } from './wire/oriel/v1/session_pb';

export type LiveState = 'connecting' | 'open' | 'lost' | 'signed-out' | 'closed';

type Body = Exclude<ToConsole['body'], { case: undefined }>;
type Messages = { [C in Body['case']]: Extract<Body, { case: C }>['value'] };
export type LiveEvents = Messages & { state: LiveState };

export type Outgoing = Exclude<MessageInitShape<typeof FromConsoleSchema>['body'], undefined>;

export interface LiveOptions {
  /** Asked after a connection that never opened, since a browser hides the 401 of a WebSocket. */
  signedIn?: () => Promise<boolean | undefined>;
  /** Opens a socket; tests put their own here. */
  open?: (url: string) => WebSocket;
  /** Multiplies every pause; tests make it small. */
  pace?: number;
}

const FIRST_PAUSE = 150;
const LONGEST_PAUSE = 5_000;
const OPEN_TIMEOUT = 10_000;
const SILENCE = 30_000; // after this long we ask for a sign of life
const ANSWER_TIMEOUT = 10_000;
const RENEW_BEFORE = 60_000;

export class Live extends Emitter<LiveEvents> {
  #url: string;
  #options: LiveOptions;
  #pace: number;
  #socket: WebSocket | undefined;
  #state: LiveState = 'connecting';
  #watch = { computers: false, journal: false };
  #pause = FIRST_PAUSE;
  #retry: Timer;
  #deadline: Timer; // of the opening, later of the next sign of life
  #renewal: Timer;
  #gone = new AbortController();

  iceServers: IceServer[] = [];
  welcome: LiveWelcome | undefined;

  constructor(url: string, options: LiveOptions = {}) {
    super();
    this.#url = url;
    this.#options = options;
    this.#pace = options.pace ?? 1;
    const { signal } = this.#gone;
    const hurry = () => this.#state === 'lost' && document.visibilityState === 'visible' && this.#connect();
    window.addEventListener('online', hurry, { signal });
    document.addEventListener('visibilitychange', hurry, { signal });
    this.#connect();
  }

  get state(): LiveState {
    return this.#state;
  }

  /** Says what this tab watches; kept across reconnects. */
  watch(what: { computers?: boolean; journal?: boolean }): void {
    this.#watch = { computers: what.computers ?? false, journal: what.journal ?? false };
    this.send({ case: 'watch', value: this.#watch });
  }

  /** Sends if the connection is open, and reports whether it is. */
  send(body: Outgoing): boolean {
    if (this.#state !== 'open' || !this.#socket) return false;
    this.#socket.send(encode(FromConsoleSchema, create(FromConsoleSchema, { body }) as FromConsole));
    return true;
  }

  close(): void {
    this.#stop('closed');
    this.forgetListeners();
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#drop();
    const socket = (this.#options.open ?? openSocket)(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    let opened = false;
    this.#deadline = setTimeout(() => this.#lost(opened), OPEN_TIMEOUT * this.#pace);
    socket.onopen = () => (opened = true);
    socket.onmessage = (event: MessageEvent) => socket === this.#socket && this.#receive(event.data);
    socket.onclose = () => socket === this.#socket && this.#lost(opened);
    socket.onerror = () => undefined; // 'close' follows and says all there is to know
  }

  #receive(data: unknown): void {
    let message: ToConsole;
    try {
      if (!(data instanceof ArrayBuffer)) throw new TypeError('a text message');
      message = decode(ToConsoleSchema, new Uint8Array(data));
    } catch (error) {
      console.error('live: bad message', error);
      return this.#lost(true);
    }
    this.#awaitSign();
    const { body } = message;
    if (body.case === undefined) return; // of a newer relay
    if (body.case === 'welcome') this.#welcomed(body.value);
    if (body.case === 'iceServers') this.#useIce(body.value.iceServers, body.value.iceExpiresAt);
    this.emit(body.case, body.value as never);
    if (body.case === 'signedOut') this.#stop('signed-out');
  }

  #welcomed(welcome: LiveWelcome): void {
    this.welcome = welcome;
    this.#pause = FIRST_PAUSE;
    this.#useIce(welcome.iceServers, welcome.iceExpiresAt, welcome.now);
    this.#enter('open');
    if (this.#watch.computers || this.#watch.journal) this.watch(this.#watch);
  }

  #useIce(servers: IceServer[], expiresAt: bigint, now = BigInt(Date.now())): void {
    this.iceServers = servers;
    clearTimeout(this.#renewal);
    if (expiresAt === 0n) return;
    const left = Math.max(Number(expiresAt - now) - RENEW_BEFORE, RENEW_BEFORE);
    this.#renewal = setTimeout(() => this.send({ case: 'renewIce', value: {} }), Math.min(left, 2 ** 31 - 1));
  }

  // A connection may be dead without a word (a lid closed, a network changed):
  // after a silence we ask for something, and give up when nothing comes.
  #awaitSign(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.send({ case: 'renewIce', value: {} });
      this.#deadline = setTimeout(() => this.#lost(true), ANSWER_TIMEOUT * this.#pace);
    }, SILENCE * this.#pace);
  }

  #lost(opened: boolean): void {
    this.#drop();
    if (this.#gone.signal.aborted) return;
    this.#enter('lost');
    const pause = this.#pause * (0.5 + Math.random() / 2) * this.#pace;
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    this.#retry = setTimeout(() => this.#connect(), pause);
    if (!opened) void this.#askWhy();
  }

  async #askWhy(): Promise<void> {
    const signedIn = await this.#options.signedIn?.().catch(() => undefined);
    if (signedIn === false && !this.#gone.signal.aborted) this.#stop('signed-out');
  }

  #stop(state: LiveState): void {
    this.#gone.abort();
    clearTimeout(this.#retry);
    clearTimeout(this.#renewal);
    this.#drop();
    this.#enter(state);
  }

  #drop(): void {
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  #enter(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;

const openSocket = (url: string) => ahead.takeSocket() ?? new WebSocket(url);
