/**
 * The one WebSocket of a tab (/live/v1, protocol/oriel/v1/live.proto):
 * snapshots and deltas of what the page watches, and signalling.
 *
 * It connects by itself and again after every loss, with growing, jittered
 * pauses; at once when the browser says that the network is back or the page
 * is seen again. After each connection it says anew what is watched; whoever
 * has a session attaches it on 'welcome'. Only a sign-out ends it.
 *
 * A new socket takes the place of the one before when it is greeted. That is also how
 * it changes sockets without a loss: a page that has handed its own off to a tab it opened
 * (handoff.ts), and later that tab. Nobody is told but by 'welcome'; the state stays 'open'.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { decode, encode } from '../frames';
import { plain } from '../sanitize';
import { Emitter } from '../emitter';
import type { SocketHandoff } from './handoff';
import {
  FromConsoleSchema,
  ProblemSchema,
  ToConsoleSchema,
  type Topic,
  type FromConsole,
  type LiveWelcome,
  type ToConsole,
} from '../wire/oriel/v1/live_pb';
import { SessionEndedSchema, type Capability, type IceServer } from '../wire/oriel/v1/session_pb';

export type LiveState = 'connecting' | 'open' | 'lost' | 'signed-out' | 'closed';

type Body = Exclude<ToConsole['body'], { case: undefined }>;
type Messages = { [C in Body['case']]: Extract<Body, { case: C }>['value'] };
export type LiveEvents = Messages & { state: LiveState };

export type Outgoing = Exclude<MessageInitShape<typeof FromConsoleSchema>['body'], undefined>;

export interface LiveOptions {
  /** Asked after a connection that never opened, since a browser hides the 401 of a WebSocket. */
  signedIn?: () => Promise<boolean | undefined>;
  /** Opens a socket: one that was begun before, or a test's. */
  open?: (url: string) => WebSocket;
  /** Another page's socket, to begin with. */
  handoff?: SocketHandoff | undefined;
  /** Multiplies every pause; tests make it small. */
  pace?: number;
}

const FIRST_PAUSE = 150;
const LONGEST_PAUSE = 5_000;
const OPEN_TIMEOUT = 10_000;
// Together as long as relay and agent wait for each other (protocol/wire): a machine that is
// cut off says nothing, and a browser hides pings from its pages.
const SILENCE = 10_000; // after this long we ask for a sign of life
const ANSWER_TIMEOUT = 5_000;
// TURN credentials that nobody uses are good for two minutes. A page nobody sees may be a minute late.
const RENEW_EVERY = 60_000;
const USABLE = 110_000;
const HANDOFF_ANSWER_TIMEOUT = 2_000; // a new one is a matter of less
const LAST_ASK = 0x7fff_ffff;
const HANDOFF_LONGEST = 10_000; // on another page's socket, however the session does

export class Live extends Emitter<LiveEvents> {
  #url: string;
  #options: LiveOptions;
  #pace: number;
  #socket: WebSocket | undefined; // has been greeted
  #next: WebSocket | undefined; // is being opened
  #handoff: SocketHandoff | undefined; // what #socket is, if it is another page's
  #sessions = new Set<object>(); // for which #socket is kept
  #state: LiveState = 'connecting';
  #topics: Topic[] = [];
  #pause = FIRST_PAUSE;
  #iceAt = 0; // when the servers were named
  // Of the last ask that is numbered. A socket may have been another page's, which has its own.
  #asks = Math.floor(Math.random() * LAST_ASK);
  #heard = 0; // when; by the clock, which a sleeping computer's runs on
  #retry: Timer;
  #opening: Timer; // the end of patience with #next
  #deadline: Timer; // of the next sign of life of #socket
  #handoffEnd: Timer;
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
    if (!this.#take(options.handoff)) this.#connect();
  }

  get state(): LiveState {
    return this.#state;
  }

  /** Says that this tab watches a topic from now on, or no longer; kept across reconnects. */
  watch(topic: Topic, on = true): void {
    this.#topics = this.#topics.filter((one) => one !== topic);
    if (on) this.#topics.push(topic);
    this.#sendTopics();
  }

  #sendTopics(): void {
    this.send({ case: 'watch', value: { topics: this.#topics } });
  }

  /** Sends if the connection is open, and reports whether it is. */
  send(body: Outgoing, id = 0): boolean {
    if (!this.#socket) return false;
    this.#socket.send(encode(FromConsoleSchema, create(FromConsoleSchema, { id, body }) as FromConsole));
    return true;
  }

  /** Sends with a number, which the Problem names that says that this ask failed; 0: there is no connection. */
  ask(body: Outgoing): number {
    const id = (this.#asks = (this.#asks % LAST_ASK) + 1);
    return this.send(body, id) ? id : 0;
  }

  /** Whether the relay, as it is connected to now, can do this. */
  can(capability: Capability): boolean {
    return this.welcome?.capabilities.includes(capability) ?? false;
  }

  /** Keeps the socket for a session, which runs on it until the returned function is called. */
  reserve(): () => void {
    const session = {};
    this.#sessions.add(session);
    return () => void this.#sessions.delete(session);
  }

  /**
   * Gives the socket away and goes on with a new one. Not while there is none to give,
   * it is another page's, has been silent, is reserved for a session, or its servers are old.
   */
  handOff(): SocketHandoff | undefined {
    const [socket, welcome] = [this.#socket, this.welcome];
    const silent = Date.now() - this.#heard > SILENCE * this.#pace || Date.now() - this.#iceAt > USABLE;
    if (!socket || !welcome || this.#handoff || silent || this.#sessions.size > 0) return undefined;
    const body = { case: 'welcome', value: { ...welcome, iceServers: this.iceServers } } as const;
    this.send({ case: 'watch', value: {} });
    this.#release(socket);
    this.#connect();
    const welcomed = encode(ToConsoleSchema, create(ToConsoleSchema, { body }) as ToConsole);
    return { socket, welcome: welcomed, iceServers: this.iceServers };
  }

  /** Moves to a socket of its own, if it has another page's: nothing is in a hurry any more. */
  moveToOwnSocket(): void {
    if (this.#handoff && !this.#next) this.#connect();
  }

  close(): void {
    this.#stop('closed');
    this.forgetListeners();
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#drop(this.#next);
    const socket = (this.#options.open ?? openSocket)(this.#url);
    socket.binaryType = 'arraybuffer';
    let opened = false;
    this.#listen(socket, () => opened);
    socket.onopen = () => (opened = true);
    this.#opening = setTimeout(() => this.#lost(socket, opened), OPEN_TIMEOUT * this.#pace);
  }

  // It may be dead like its page, or its network, without having said so: it is asked at once.
  #take(handoff: SocketHandoff | undefined): boolean {
    if (!handoff || handoff.socket.readyState !== handoff.socket.OPEN) return false;
    this.#listen(handoff.socket, () => true);
    this.#receive(handoff.socket, handoff.welcome);
    if (!this.#socket) return false;
    this.#handoff = handoff;
    this.send({ case: 'renewIce', value: {} });
    handoff.ongone = () => {
      this.moveToOwnSocket();
      this.#drop(handoff.socket);
    };
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.moveToOwnSocket();
      this.#awaitAnswer(handoff.socket);
    }, HANDOFF_ANSWER_TIMEOUT * this.#pace);
    this.#handoffEnd = setTimeout(() => this.moveToOwnSocket(), HANDOFF_LONGEST * this.#pace);
    return true;
  }

  #listen(socket: WebSocket, opened: () => boolean): void {
    this.#next = socket;
    socket.onmessage = (event: MessageEvent) => this.#receive(socket, event.data);
    socket.onclose = () => this.#lost(socket, opened());
    socket.onerror = () => undefined; // 'close' follows and says all there is to know
  }

  #receive(socket: WebSocket, data: string | ArrayBuffer | Uint8Array): void {
    if (socket !== this.#socket && socket !== this.#next) return;
    let message: ToConsole;
    try {
      if (typeof data === 'string') throw new TypeError('a text message');
      message = decode(ToConsoleSchema, new Uint8Array(data));
    } catch (error) {
      console.error('live: bad message', error);
      return this.#lost(socket, true);
    }
    const { body } = message;
    // Their details are the agent's where it refused something.
    if (body.case === 'sessionEnded') plain(SessionEndedSchema, body.value);
    if (body.case === 'problem') plain(ProblemSchema, body.value);
    if (body.case === 'welcome') this.#welcomed(socket, body.value);
    this.#awaitSign();
    if (body.case === undefined) return; // of a newer relay
    if (body.case === 'iceServers') this.#useIce(body.value.iceServers, body.value.iceExpiresAt);
    this.emit(body.case, body.value as never);
    if (body.case === 'signedOut') this.#stop('signed-out');
  }

  #welcomed(socket: WebSocket, welcome: LiveWelcome): void {
    clearTimeout(this.#opening);
    this.#next = undefined;
    this.#drop(this.#socket);
    this.#socket = socket;
    this.welcome = welcome;
    this.#pause = FIRST_PAUSE;
    this.#useIce(welcome.iceServers, welcome.iceExpiresAt);
    this.#enter('open');
    if (this.#topics.length > 0) this.#sendTopics();
  }

  #useIce(servers: IceServer[], expiresAt: bigint): void {
    this.iceServers = servers;
    this.#iceAt = Date.now();
    clearTimeout(this.#renewal);
    if (expiresAt === 0n) return;
    this.#renewal = setTimeout(() => this.send({ case: 'renewIce', value: {} }), RENEW_EVERY);
  }

  // A connection may be dead without a word (a lid closed, a network changed):
  // after a silence we ask for something, and give up when nothing comes.
  #awaitSign(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#heard = Date.now();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.send({ case: 'renewIce', value: {} });
      this.#awaitAnswer(socket);
    }, SILENCE * this.#pace);
  }

  #awaitAnswer(socket: WebSocket): void {
    this.#deadline = setTimeout(() => this.#lost(socket, true), ANSWER_TIMEOUT * this.#pace);
  }

  #lost(socket: WebSocket, opened: boolean): void {
    this.#drop(socket);
    if (this.#gone.signal.aborted || this.#next) return;
    if (!this.#socket) this.#enter('lost');
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
    this.#drop(this.#next);
    this.#drop(this.#socket);
    this.#enter(state);
  }

  #drop(socket: WebSocket | undefined): void {
    if (!socket) return;
    this.#release(socket);
    socket.close();
  }

  #release(socket: WebSocket): void {
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    if (socket === this.#next) {
      clearTimeout(this.#opening);
      this.#next = undefined;
    }
    if (socket === this.#socket) {
      clearTimeout(this.#deadline);
      this.#socket = undefined;
    }
    if (socket === this.#handoff?.socket) {
      clearTimeout(this.#handoffEnd);
      this.#handoff.ongone = this.#handoff = undefined;
    }
  }

  #enter(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;

const openSocket = (url: string) => new WebSocket(url);
