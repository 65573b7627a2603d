/**
 * Viewer is one computer's screen in one element: an object with properties,
 * methods and events, which alone touches the peer connection.
 *
 *	const viewer = new Viewer(live, { computerId, pins })
 *	viewer.moveTo(element, label)
 *	viewer.on('state', …)
 *
 * It opens by itself: as soon as the live socket is there it offers, waits for
 * a computer that is offline, verifies the computer's answer (core/viewer/trust.ts)
 * and shows the picture. Every peer connection is an attempt with a number of
 * its own; what belongs to an older attempt is ignored. A connection that is
 * lost is followed by a new attempt in the same session, a session that the
 * network or the agent ended by a new session, however long the agent is
 * away (core/viewer/ends.ts); what a person ended stays ended. The loss of the live socket alone changes nothing: the session is
 * attached to the next one.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Attempt } from './attempt';
import { RemoteCursor } from './cursor';
import { Emitter } from '../emitter';
import type { DesktopMessage } from './desktop-message';
import { lossOf, passes } from './ends';
import { Keyboard } from './keyboard';
import type { Chord } from './keys';
import type { Live } from '../relay/live';
import { Monitor } from './monitor';
import { makeOffer } from './offer';
import { Peer } from './peer';
import { AccountPins, type Pins } from './pins';
import { Pointer } from './pointer';
import { PresentationDelay } from './presentation';
import { Stage, type Place, type Scale } from './stage';
import { judge } from './trust';
import { final, underWay, waitsForComputer } from './viewer-events';
import type { Snapshot, Timer, ViewerEvents, ViewerOptions, ViewerState } from './viewer-events';
import type { FromDesktop, StreamSettingsSchema } from '../wire/oriel/v1/channel_pb';
import type { Problem, SessionOpened } from '../wire/oriel/v1/live_pb';
import { Code, EndReason, Mode, Scope, type Answer, type SessionEnded } from '../wire/oriel/v1/session_pb';

export type { ViewerEvents, ViewerOptions, ViewerState } from './viewer-events';

const RETRY_FIRST = 250;
const RETRY_LONGEST = 4_000;
const ASK_TIMEOUT = 15_000; // ms from the offer to the answer

export class Viewer extends Emitter<ViewerEvents> {
  readonly #live: Live;
  readonly #options: ViewerOptions;
  readonly #pins: Pins;
  readonly #stage: Stage;
  readonly #cursor: RemoteCursor;
  readonly #keyboard: Keyboard;
  readonly #pointer: Pointer;
  readonly #delay: PresentationDelay;
  readonly #forget: (() => void)[] = [];
  #state: ViewerState = { name: 'relay' };
  #mode: Mode;
  #attempt: Attempt | undefined;
  #ready: Attempt | undefined; // the first, while the relay is still being reached
  #attempts = 0;
  #sessionId = '';
  #scopes: readonly Scope[] = [];
  #viewOnly = false;
  #seq = 0;
  #pause = RETRY_FIRST;
  #timer: Timer; // the next attempt, or the end of patience with this one
  #quality: MessageInitShape<typeof StreamSettingsSchema> | undefined;
  #snapshot: Snapshot = {};
  #pictured = false;
  #gone: 'stopped' | 'silent' | undefined; // the agent, and it has not been seen since
  #monitor: Monitor | undefined; // of this connection

  constructor(live: Live, options: ViewerOptions) {
    super();
    this.#live = live;
    this.#options = options;
    this.#mode = options.viewOnly ? Mode.VIEW : Mode.CONTROL;
    this.#pins = options.pins ?? new AccountPins();
    this.#stage = new Stage();
    this.#cursor = new RemoteCursor(this.#stage);
    this.#delay = new PresentationDelay(this.#stage.video);
    this.#stage.onlayout = () => {
      this.#cursor.draw();
      this.emit('layout', undefined);
    };
    this.#keyboard = new Keyboard(this.#stage.root, this.#stage.field, {
      key: (usage, down, more) => this.#input({ case: 'key', value: { usage, down, ...more } }),
      text: (text) => this.sendText(text),
      releaseAll: () => this.#input({ case: 'releaseAll', value: {} }),
      escape: () => this.emit('escape', undefined),
    });
    this.#pointer = new Pointer(this.#stage, {
      move: (place) => this.#move(place),
      button: (button, down, { x, y }) =>
        this.#input({ case: 'button', value: { button, down, x, y, seq: ++this.#seq } }),
      wheel: (dx, dy, { x, y }) => this.#input({ case: 'wheel', value: { dx, dy, x, y } }),
      mouse: (here) => this.#cursor.setMouse(here),
    });
    this.#stage.video.addEventListener('loadeddata', () => this.#firstPicture());
    this.#listen();
    this.#allowInput();
    this.#ready = this.#newAttempt(options.offer);
    if (live.state === 'open') this.#open();
  }

  get state(): ViewerState {
    return this.#state;
  }

  get sessionId(): string {
    return this.#sessionId;
  }

  get scopes(): readonly Scope[] {
    return this.#scopes;
  }

  /** What the events of these names have said so far. */
  get snapshot(): Readonly<Snapshot> {
    return this.#snapshot;
  }

  get mode(): Mode {
    return this.#mode;
  }

  /** A session is journaled with its mode: another mode is another session. */
  set mode(mode: Mode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    if (final(this.#state)) return;
    this.#leave(false);
    this.retry();
  }

  /** Keeps this page from sending input; what may be done at all is the grant's and the agent's matter. */
  get viewOnly(): boolean {
    return this.#viewOnly;
  }

  set viewOnly(on: boolean) {
    if (on) this.#releaseAll();
    this.#viewOnly = on;
    this.#allowInput();
  }

  /** Shows the picture in an element, once there is one; label is what a screen reader calls it. */
  moveTo(target: HTMLElement, label: string): void {
    this.#stage.moveTo(target, label);
  }

  get scale(): Scale {
    return this.#stage.scale;
  }

  set scale(scale: Scale) {
    this.#stage.scale = scale;
  }

  get percent(): number {
    return this.#stage.percent;
  }

  get size(): { width: number; height: number } {
    return this.#stage.size;
  }

  get textMode(): boolean {
    return this.#keyboard.textMode;
  }

  set textMode(on: boolean) {
    this.#keyboard.releaseAll();
    this.#keyboard.textMode = on;
    this.focus();
  }

  get pressed(): ReadonlySet<string> {
    return this.#keyboard.pressed;
  }

  /** Measures when every picture is shown, and not only one now and then; for whoever looks at the figures. */
  set measuring(on: boolean) {
    this.#delay.every = on;
  }

  focus(): void {
    const { root, field } = this.#stage;
    (this.#keyboard.textMode ? field : root).focus({ preventScroll: true });
  }

  /** Presses and releases keys that the browser would keep for itself. */
  sendKeys(chord: Chord): void {
    this.#keyboard.send(chord);
  }

  /** Presses or releases one key by itself. Returns whether it is down now. */
  toggleKey(code: string): boolean {
    return this.#keyboard.toggle(code);
  }

  /** Types text as it is, whatever the remote layout. */
  sendText(text: string): void {
    // At most 4096 bytes a message; a code point takes at most 4.
    const points = [...text];
    for (let i = 0; i < points.length; i += 1000)
      this.#input({ case: 'text', value: { text: points.slice(i, i + 1000).join('') } });
  }

  /** What the picture is to be like, on this connection and on those after it. */
  setStream(settings: MessageInitShape<typeof StreamSettingsSchema>): void {
    this.#quality = settings;
    this.#send({ case: 'stream', value: settings });
  }

  /** Ends the session, as the operator. */
  disconnect(): void {
    this.#leave(false);
    this.#end({ name: 'ended', reason: EndReason.OPERATOR, code: Code.UNSPECIFIED, detail: '' });
  }

  /** Opens a new session after an end. */
  retry(): void {
    [this.#sessionId, this.#pause, this.#gone] = ['', RETRY_FIRST, undefined];
    this.#open();
  }

  /** Remembers the key that a warning was shown for, and connects. Only in state 'changed'. */
  trustNewKey(): void {
    if (this.#state.name !== 'changed') return;
    const { shown, accountsKey } = this.#state;
    this.#pins.set(this.#options.computerId, shown, accountsKey);
    this.retry();
  }

  /** Leaves everything as if the viewer had never been; now: the page will not live on. */
  close(now = false): void {
    if (!final(this.#state)) this.#leave(now);
    this.#dropAttempt();
    this.#ready?.peer.close();
    clearTimeout(this.#timer);
    for (const forget of this.#forget) forget();
    this.forgetListeners();
    this.#keyboard.close();
    this.#pointer.close();
    this.#cursor.close();
    this.#delay.close();
    this.#stage.close();
  }

  #listen(): void {
    const { computerId } = this.#options;
    const mine = (number: number) => this.#attempt !== undefined && number === this.#attempt.number;
    const on: Live['on'] = (name, listener) => {
      const off = this.#live.on(name, listener);
      this.#forget.push(off);
      return off;
    };
    this.#forget.push(this.#live.reserve());
    on('welcome', () => this.#relayBack());
    on(
      'sessionWaiting',
      (v) => mine(v.attempt) && v.computerId === computerId && this.#waiting(v.unreachable),
    );
    on('sessionOpened', (v) => mine(v.attempt) && this.#opened(v));
    on('answer', (v) => mine(v.attempt) && v.sessionId === this.#sessionId && void this.#answered(v));
    on('candidate', (v) => mine(v.attempt) && this.#attempt?.add(v));
    on(
      'problem',
      (v) => (mine(v.attempt) || (v.attempt === 0 && this.#isSession(v.sessionId))) && this.#problem(v),
    );
    on('agentLost', (v) => this.#isSession(v.sessionId) && void this.#doubtAgent());
    on('sessionEnded', (v) => this.#isSession(v.sessionId) && this.#sessionEnded(v));
    on('iceServers', () => waitsForComputer(this.#state) && !this.#attempt?.opened && this.#open());
  }

  #isSession(id: string): boolean {
    return id !== '' && id === this.#sessionId;
  }

  // The live socket is a new one.
  #relayBack(): void {
    if (this.#monitor) {
      this.#live.send({ case: 'attachSession', value: { sessionId: this.#sessionId } });
      void this.#doubt();
    } else if (!final(this.#state)) this.#open();
  }

  // What went through a relay that was away may have gone with it, which a browser takes seconds to say.
  async #doubt(): Promise<void> {
    const monitor = this.#monitor;
    if (!monitor?.relayed || (await monitor.alive())) return;
    if (monitor === this.#monitor) this.#lost();
  }

  // The relay lost the agent. Perhaps only that connection broke: both signs together count. The
  // second look is for what was still under way at the first.
  async #doubtAgent(): Promise<void> {
    const monitor = this.#monitor;
    if (!monitor || ((await monitor.alive()) && (await monitor.alive())) || monitor !== this.#monitor) return;
    this.#gone = 'silent';
    this.#lost();
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#dropAttempt();
    if (this.#live.state !== 'open')
      return this.#enter(this.#sessionId ? { name: 'resuming' } : { name: 'relay' });
    this.#attempt = this.#ready ?? this.#newAttempt();
    this.#ready = undefined;
    this.#show(this.#attempt.peer.stream);
    this.#enter(this.#sessionId ? { name: 'resuming' } : { name: 'asking' });
    void this.#offer(this.#attempt);
  }

  #newAttempt(offer = makeOffer(this.#options)): Attempt {
    const number = ++this.#attempts;
    const own = () => this.#attempt?.number === number;
    const peer = new Peer(offer, {
      candidate: (candidate) => own() && this.#attempt?.trickle(candidate),
      connected: () => own() && this.#connected(),
      unsteady: (silent) => own() && this.#monitor?.broken(silent),
      lost: () => own() && this.#lost(),
      crowded: () => own() && this.#publish('crowded', true),
      forged: () => own() && this.#distrust({ name: 'forged' }),
      message: (message) => own() && this.#message(message),
    });
    return new Attempt(number, peer, (value) => this.#live.send({ case: 'candidate', value }));
  }

  async #offer(attempt: Attempt): Promise<void> {
    let sdp: string;
    try {
      sdp = await attempt.peer.offer(this.#live.iceServers);
    } catch (error) {
      return this.#fail(attempt, error);
    }
    if (attempt !== this.#attempt) return;
    this.#timer = setTimeout(() => this.#lost(), ASK_TIMEOUT);
    const { computerId } = this.#options;
    this.#live.send({
      case: 'openSession',
      value: { attempt: attempt.number, computerId, mode: this.#mode, sdp, sessionId: this.#sessionId },
    });
  }

  #waiting(unreachable: boolean): void {
    clearTimeout(this.#timer);
    this.#enter({ name: unreachable ? 'apart' : 'offline' });
  }

  #opened(opened: SessionOpened): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    this.#sessionId = opened.sessionId;
    this.#scopes = opened.scopes;
    this.emit('scopes', this.#scopes);
    this.#allowInput();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), ASK_TIMEOUT);
    if (this.#state.name !== 'resuming') this.#enter({ name: 'connecting' });
    attempt.open(opened);
  }

  async #answered(answer: Answer): Promise<void> {
    const attempt = this.#attempt;
    if (!attempt?.opened) return;
    clearTimeout(this.#timer);
    const { computerKey, nonce, sessionId, knownKey } = attempt.opened;
    const { computerId } = this.#options;
    const claim = { computerId, sessionId, nonce, relaysKey: computerKey, accountsKey: knownKey, answer };
    const verdict = await judge(claim, this.#pins);
    if (attempt !== this.#attempt) return;
    if (!verdict.ok)
      return this.#distrust(
        verdict.why === 'changed' ? { name: 'changed', ...verdict.change } : { name: 'forged' },
      );
    if (verdict.first) this.#publish('newKey', answer.machineKey);
    try {
      await attempt.peer.answer(verdict.sdp, verdict.fingerprint);
    } catch (error) {
      this.#fail(attempt, error);
    }
  }

  // The other side is not the computer that is known here.
  #distrust(state: ViewerState): void {
    this.#closeSession();
    this.#end(state);
  }

  #connected(): void {
    this.#pause = RETRY_FIRST;
    this.#gone = undefined;
    this.emit('unsteady', false);
    this.#publish('crowded', false);
    if (this.#quality) this.setStream(this.#quality);
    if (this.#attempt)
      this.#monitor = new Monitor(this.#attempt.peer, this.#delay, {
        stats: (stats) => this.emit('stats', stats),
        unsteady: (on) => this.emit('unsteady', on),
      });
    if (this.#attempt?.pictured || !this.#scopes.includes(Scope.VIEW)) return this.#goLive();
    // What is left of the connection before stays until the new picture is there.
    const left = this.#stage.frozen && this.#snapshot.display === undefined;
    this.#enter({ name: left ? 'resuming' : 'connected' });
  }

  // The picture is shown, or will never be.
  #goLive(): void {
    this.#monitor?.pictured();
    if (this.#monitor) this.#enter({ name: 'live' });
  }

  #show(stream: MediaStream): void {
    const { video } = this.#stage;
    video.srcObject = stream;
    video.play().catch(() => undefined); // muted video may play; if it may not, nothing else helps
  }

  #firstPicture(): void {
    this.#stage.thaw();
    this.#stage.layout();
    if (this.#attempt) this.#attempt.pictured = true;
    this.#goLive();
    if (this.#pictured) return;
    this.#pictured = true;
    this.emit('picture', undefined);
  }

  #message({ body }: FromDesktop): void {
    this.#monitor?.heard();
    switch (body.case) {
      case 'ready':
        this.emit('scopes', (this.#scopes = body.value.scopes));
        this.#allowInput();
        this.#stage.setScreen(body.value.screen);
        this.#publish('lacks', body.value.lacks);
        if (this.#snapshot.display !== undefined) this.#publish('display', undefined); // or it is said again
        return this.#publish('fullChroma', body.value.fullChroma);
      case 'screen':
        return this.#stage.setScreen(body.value);
      case 'cursorShape':
        return this.#cursor.setShape(body.value);
      case 'cursorPlace':
        return this.#cursor.setPlace(body.value);
      case 'denied':
        return this.emit('denied', { scope: body.value.scope, detail: body.value.detail });
      case 'dropped':
        this.#send({ case: 'heard', value: { number: body.value.number } });
        return this.emit('dropped', undefined);
      case 'display':
        this.#publish('lacks', body.value.lacks);
        this.#publish('display', body.value.available ? undefined : body.value.detail);
        if (!body.value.available && !this.#attempt?.pictured) this.#enter({ name: 'connected' });
        return;
      case 'stats':
        return this.#monitor?.agent(body.value);
      case 'bye':
        return this.#over(body.value.reason, body.value.code, body.value.detail);
    }
  }

  // For whoever begins to listen later, too.
  #publish<Name extends keyof Snapshot>(name: Name, value: ViewerEvents[Name]): void {
    this.#snapshot = { ...this.#snapshot, [name]: value };
    this.emit(name, value);
  }

  // This connection is gone; the session may not be.
  #lost(): void {
    if (final(this.#state)) return;
    this.#stage.freeze();
    this.#dropAttempt();
    this.#enter(this.#sessionId ? { name: 'resuming' } : { name: 'asking' });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, RETRY_LONGEST);
  }

  #problem(problem: Problem): void {
    if (passes(problem.code)) return this.#lost();
    // The session to go on with is over: a new one will do.
    if (problem.code === Code.NOT_FOUND && this.#sessionId) {
      this.#sessionId = '';
      return this.#lost();
    }
    this.#end({ name: 'ended', reason: EndReason.FAILED, code: problem.code, detail: problem.detail });
  }

  #sessionEnded(ended: SessionEnded): void {
    if (ended.attempt === 0) return this.#over(ended.reason, ended.code, ended.detail);
    if (ended.attempt === this.#attempt?.number) this.#lost();
  }

  #over(reason: EndReason, code: Code, detail: string): void {
    if (final(this.#state)) return;
    this.#sessionId = '';
    const loss = lossOf(reason, code);
    if (loss === 'gone') this.#gone = 'stopped';
    if (loss) return this.#lost();
    this.#end({ name: 'ended', reason, code, detail });
  }

  #fail(attempt: Attempt, error: unknown): void {
    if (attempt !== this.#attempt) return;
    console.error('viewer', error);
    this.#closeSession();
    const detail = error instanceof Error ? error.message : '';
    this.#end({ name: 'ended', reason: EndReason.FAILED, code: Code.INTERNAL, detail });
  }

  #end(state: ViewerState): void {
    clearTimeout(this.#timer);
    this.#stage.freeze();
    this.#dropAttempt();
    this.#sessionId = '';
    this.#enter(state);
  }

  // Said on both ways; to the agent first, which hears nothing more after the relay.
  #leave(now: boolean): void {
    this.#releaseAll();
    this.#monitor?.report();
    this.#send({ case: 'leave', value: {} });
    const [peer, sessionId] = [this.#attempt?.peer, this.#sessionId];
    if (now || !peer?.open) return this.#closeSession();
    peer.gracefulClose(() => this.#live.send({ case: 'closeSession', value: { sessionId } }));
  }

  #closeSession(): void {
    const attempt = this.#attempt?.number ?? 0;
    // Without a session there may be a request that waits.
    const value = this.#sessionId ? { sessionId: this.#sessionId } : { attempt };
    if (this.#sessionId || attempt > 0) this.#live.send({ case: 'closeSession', value });
  }

  #dropAttempt(): void {
    this.#stage.video.srcObject = null; // what is not verified, or over, shows nothing
    this.#monitor?.close();
    this.#attempt?.peer.close();
    this.#attempt = this.#monitor = undefined;
  }

  #enter(state: ViewerState): void {
    const before = this.#state.name;
    if (this.#gone && underWay(state)) state = { name: 'away', silent: this.#gone === 'silent' };
    this.#state = state;
    if (before === 'live' && state.name !== 'live') this.#keyboard.releaseAll();
    this.#allowInput();
    if (before !== state.name) this.emit('state', state);
  }

  #move(place: Place): void {
    if (!this.#maySend() || !this.#scopes.includes(Scope.CONTROL)) return;
    this.#cursor.follow(place);
    this.#attempt?.peer.move(++this.#seq, place.x, place.y);
  }

  // Keys and buttons go out even without the scope: the agent's refusal is what the operator is told.
  #input(body: DesktopMessage): void {
    if (!this.#maySend()) return;
    this.#monitor?.used();
    this.#send(body);
  }

  #maySend(): boolean {
    return this.#state.name === 'live' && !this.#viewOnly;
  }

  #send(body: DesktopMessage): void {
    this.#attempt?.peer.send(body);
  }

  #releaseAll(): void {
    this.#pointer.releaseAll();
    this.#keyboard.releaseAll();
  }

  #allowInput(): void {
    const may = this.#maySend();
    this.#keyboard.enabled = this.#pointer.enabled = may;
    this.#cursor.controls = may && this.#scopes.includes(Scope.CONTROL);
    this.#cursor.draw();
  }
}
