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
 * away (core/viewer/ends.ts); what a person ended stays ended. The loss of the live
 * socket alone changes nothing: the session is attached to the next one.
 *
 * The parts: screen.ts is what of it is on this side of the connection, signalling.ts
 * what goes through the relay, attempt.ts and peer.ts one connection, monitor.ts how it does.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Attempt } from './attempt';
import { Channel, ChannelError } from '../channels/channel';
import type { DesktopMessage } from './desktop-message';
import { lossOf, passes } from './ends';
import type { Live } from '../relay/live';
import { Monitor } from './monitor';
import { makeOffer } from './offer';
import { Peer } from './peer';
import { AccountPins, type Pins } from './pins';
import { RemoteScreen } from './screen';
import { Signalling } from './signalling';
import type { Place } from './stage';
import { judge } from './trust';
import { final, underWay, waitsForComputer } from './viewer-events';
import type { Snapshot, Timer, ViewerEvents, ViewerOptions, ViewerState } from './viewer-events';
import type { FromDesktop, StreamSettingsSchema } from '../wire/oriel/v1/channel_pb';
import type { Problem, SessionOpened } from '../wire/oriel/v1/live_pb';
import { controlling, watching } from './scopes';
import { Code, EndReason, Scope, type Answer, type SessionEnded } from '../wire/oriel/v1/session_pb';

export type { ViewerEvents, ViewerOptions, ViewerState } from './viewer-events';

const RETRY_FIRST = 250;
const RETRY_LONGEST = 4_000;
const ASK_TIMEOUT = 15_000; // ms from the offer to the answer

export class Viewer extends RemoteScreen {
  readonly #options: ViewerOptions;
  readonly #pins: Pins;
  readonly #relay: Signalling;
  #state: ViewerState = { name: 'relay' };
  #chosen: readonly Scope[]; // by the person, last
  #before: readonly Scope[]; // the last choice that has not failed
  #had: readonly Scope[] | undefined; // what the agent said last that the session has
  #attempt: Attempt | undefined;
  #ready: Attempt | undefined; // the first, while the relay is still being reached
  #attempts = 0;
  #scopes: readonly Scope[] = [];
  #pause = RETRY_FIRST;
  #timer: Timer; // the next attempt, or the end of patience with this one
  #quality: MessageInitShape<typeof StreamSettingsSchema> | undefined;
  #snapshot: Snapshot = {};
  #pictured = false;
  #gone: 'stopped' | 'silent' | undefined; // the agent, and it has not been seen since
  #monitor: Monitor | undefined; // of this connection

  constructor(live: Live, options: ViewerOptions) {
    super();
    this.#options = options;
    this.#chosen = this.#before = options.viewOnly ? watching : controlling;
    this.#pins = options.pins ?? new AccountPins();
    this.stage.video.addEventListener('loadeddata', () => this.#firstPicture());
    this.#relay = new Signalling(live, options.computerId, {
      disconnected: () => void this.#doubt(),
      reconnected: () => this.#relayBack(),
      waiting: (unreachable) => this.#waiting(unreachable),
      opened: (opened) => this.#opened(opened),
      answered: (answer) => void this.#answered(answer),
      candidate: (candidate) => this.#attempt?.add(candidate),
      problem: (problem) => this.#problem(problem),
      unchanged: ({ detail }) => this.#unchanged('refused', detail),
      agentLost: () => void this.#doubtAgent(),
      ended: (ended) => this.#sessionEnded(ended),
      iceServers: () => waitsForComputer(this.#state) && this.#attempt?.old && this.#open(),
    });
    this.allowInput();
    this.#ready = this.#newAttempt(options.offer);
    if (this.#relay.open) this.#open();
  }

  get state(): ViewerState {
    return this.#state;
  }

  get sessionId(): string {
    return this.#relay.sessionId;
  }

  get scopes(): readonly Scope[] {
    return this.#scopes;
  }

  /** What the events of these names have said so far. */
  get snapshot(): Readonly<Snapshot> {
    return this.#snapshot;
  }

  /**
   * Asks for other scopes in the running session, all or nothing. 'scopes' says once they are
   * in force, 'unchanged' that they will not be.
   */
  change(scopes: readonly Scope[]): void {
    if (final(this.#state) || !this.#relay.sessionId) return;
    if (!scopes.includes(Scope.CONTROL)) this.releaseAll();
    this.#chosen = scopes;
    const can = this.#relay.changesScopes;
    if (!can) return this.#unchanged(can === undefined ? 'relay-away' : 'relay-old', '');
    this.#relay.changeScopes(scopes);
  }

  /** What the picture is to be like, on this connection and on those after it. */
  setStream(settings: MessageInitShape<typeof StreamSettingsSchema>): void {
    this.#quality = settings;
    this.#send({ case: 'stream', value: settings });
  }

  /**
   * Opens a data channel on the session (core/channels/channel.ts), which ends with this
   * connection at the latest. Throws a ChannelError while there is none.
   */
  channel(label: string): Channel {
    const peer = this.#attempt?.peer;
    if (!peer) throw new ChannelError(Code.UNAVAILABLE, 'there is no session');
    return peer.channel(label);
  }

  /** Ends the session, as the operator. */
  disconnect(): void {
    this.#leave(false);
    this.#end({ name: 'ended', reason: EndReason.OPERATOR, code: Code.UNSPECIFIED, detail: '' });
  }

  /** Opens a new session after an end, with what the person chose last. */
  retry(): void {
    this.#had = undefined;
    [this.#relay.sessionId, this.#pause, this.#gone] = ['', RETRY_FIRST, undefined];
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
    this.#relay.close();
    this.forgetListeners();
    this.closeScreen();
  }

  // The live socket is a new one.
  #relayBack(): void {
    if (this.#monitor) {
      this.#relay.attachSession();
      void this.#doubt();
    } else if (!final(this.#state)) this.#open();
  }

  // What went through a relay that is away may have gone with it, which a browser takes seconds to say.
  async #doubt(): Promise<void> {
    const monitor = this.#monitor;
    if (!monitor?.relayed || (await monitor.alive())) return;
    if (monitor === this.#monitor) this.#move();
  }

  // Nothing comes any more. Where another node may carry the session it is not waited for the one that did.
  #unsteady(silent: boolean): void {
    this.emit('unsteady', silent);
    if (silent && this.#movable) this.#move();
  }

  get #movable(): boolean {
    return (this.#monitor?.relayed ?? false) && this.#relay.carriers > 1;
  }

  #move(): void {
    this.#publish('moving', this.#relay.carriers > 1);
    this.#lost();
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
    if (!this.#relay.open)
      return this.#enter(this.#relay.sessionId ? { name: 'resuming' } : { name: 'relay' });
    this.#attempt = this.#ready ?? this.#newAttempt();
    this.#ready = undefined;
    this.#relay.attempt = this.#attempt.number;
    this.show(this.#attempt.peer.stream);
    this.#enter(this.#relay.sessionId ? { name: 'resuming' } : { name: 'asking' });
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
    return new Attempt(number, peer, (candidate) => this.#relay.trickle(candidate));
  }

  async #offer(attempt: Attempt): Promise<void> {
    let sdp: string;
    try {
      sdp = await attempt.peer.offer(this.#relay.iceServers);
    } catch (error) {
      return this.#fail(attempt, error);
    }
    if (attempt !== this.#attempt) return;
    this.#timer = setTimeout(() => this.#lost(), ASK_TIMEOUT);
    this.#relay.openSession({ wanted: this.#asks, sdp, iceUserName: attempt.peer.iceUserName });
  }

  #waiting(unreachable: boolean): void {
    clearTimeout(this.#timer);
    this.#enter({ name: unreachable ? 'apart' : 'offline' });
  }

  #opened(opened: SessionOpened): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    this.#relay.sessionId = opened.sessionId;
    this.#scopes = opened.scopes;
    this.emit('scopes', this.#scopes);
    this.allowInput();
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
    if (verdict.first) this.#publish('newKey', verdict.first);
    try {
      await attempt.peer.answer(verdict.sdp, verdict.fingerprint);
    } catch (error) {
      this.#fail(attempt, error);
    }
  }

  // The other side is not the computer that is known here.
  #distrust(state: ViewerState): void {
    this.#relay.closeSession();
    this.#end(state);
  }

  #connected(): void {
    this.#pause = RETRY_FIRST;
    this.#gone = undefined;
    this.emit('unsteady', false);
    this.#publish('crowded', false);
    if (this.#quality) this.setStream(this.#quality);
    if (this.#attempt)
      this.#monitor = new Monitor(this.#attempt.peer, this.delay, {
        stats: (stats) => this.emit('stats', stats),
        unsteady: (silent) => this.#unsteady(silent),
        movable: () => this.#movable,
      });
    if (this.#attempt?.pictured || !this.#scopes.includes(Scope.VIEW)) return this.#goLive();
    // What is left of the connection before stays until the new picture is there.
    const left = this.stage.frozen && this.#snapshot.display === undefined;
    this.#enter({ name: left ? 'resuming' : 'connected' });
  }

  // The picture is shown, or will never be.
  #goLive(): void {
    if (!this.#monitor) return;
    this.#monitor.pictured();
    this.#publish('moving', false);
    this.#enter({ name: 'live' });
  }

  #firstPicture(): void {
    this.stage.thaw();
    this.stage.layout();
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
        this.#inForce(body.value.scopes);
        this.stage.setScreen(body.value.screen);
        this.#publish('lacks', body.value.lacks);
        if (this.#snapshot.display !== undefined) this.#publish('display', undefined); // or it is said again
        return this.#publish('fullChroma', body.value.fullChroma);
      case 'scopesInForce':
        return this.#inForce(body.value.scopes);
      case 'screen':
        return this.stage.setScreen(body.value);
      case 'cursorShape':
        return this.cursor.setShape(body.value);
      case 'cursorPlace':
        return this.cursor.setPlace(body.value);
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

  #inForce(scopes: readonly Scope[]): void {
    this.#scopes = this.#had = scopes;
    if (this.#chosen.every((scope) => scopes.includes(scope))) this.#before = this.#chosen;
    this.emit('scopes', scopes);
    this.allowInput();
  }

  #unchanged(why: ViewerEvents['unchanged']['why'], detail: string): void {
    this.#chosen = this.#before;
    this.emit('unchanged', { why, detail });
  }

  // What a connection is asked for: what the person chose last, without what was taken away since.
  get #asks(): Scope[] {
    const had = this.#had;
    return this.#chosen.filter((scope) => !had || scope === Scope.VIEW || had.includes(scope));
  }

  // For whoever begins to listen later, too.
  #publish<Name extends keyof Snapshot>(name: Name, value: ViewerEvents[Name]): void {
    this.#snapshot = { ...this.#snapshot, [name]: value };
    this.emit(name, value);
  }

  // This connection is gone; the session may not be.
  #lost(): void {
    if (final(this.#state)) return;
    this.stage.freeze();
    this.#dropAttempt();
    this.#enter(this.#relay.sessionId ? { name: 'resuming' } : { name: 'asking' });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, RETRY_LONGEST);
  }

  #problem(problem: Problem): void {
    if (passes(problem.code)) return this.#lost();
    // The session to go on with is over: a new one will do.
    if (problem.code === Code.NOT_FOUND && this.#relay.sessionId) {
      this.#relay.sessionId = '';
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
    this.#relay.sessionId = '';
    const loss = lossOf(reason, code);
    if (loss === 'gone') this.#gone = 'stopped';
    if (loss) return this.#lost();
    this.#end({ name: 'ended', reason, code, detail });
  }

  #fail(attempt: Attempt, error: unknown): void {
    if (attempt !== this.#attempt) return;
    console.error('viewer', error);
    this.#relay.closeSession();
    const detail = error instanceof Error ? error.message : '';
    this.#end({ name: 'ended', reason: EndReason.FAILED, code: Code.INTERNAL, detail });
  }

  #end(state: ViewerState): void {
    clearTimeout(this.#timer);
    this.stage.freeze();
    this.#dropAttempt();
    this.#relay.sessionId = '';
    this.#enter(state);
  }

  // Said on both ways; to the agent first, which hears nothing more after the relay.
  #leave(now: boolean): void {
    this.releaseAll();
    this.#monitor?.report();
    this.#send({ case: 'leave', value: {} });
    const [peer, sessionId] = [this.#attempt?.peer, this.#relay.sessionId];
    if (now || !peer?.open) return this.#relay.closeSession();
    peer.gracefulClose(() => this.#relay.closeSession(sessionId));
  }

  #dropAttempt(): void {
    this.stage.video.srcObject = null; // what is not verified, or over, shows nothing
    this.#monitor?.close();
    this.#attempt?.peer.close();
    this.#attempt = this.#monitor = undefined;
    this.#relay.attempt = 0;
  }

  #enter(state: ViewerState): void {
    const before = this.#state.name;
    if (this.#gone && underWay(state)) state = { name: 'away', silent: this.#gone === 'silent' };
    this.#state = state;
    if (before === 'live' && state.name !== 'live') this.releaseKeys();
    this.allowInput();
    if (before !== state.name) this.emit('state', state);
  }

  protected override get takesInput(): boolean {
    return this.#state.name === 'live';
  }

  protected override get mayControl(): boolean {
    return this.#scopes.includes(Scope.CONTROL);
  }

  protected override sendMove(seq: number, { x, y }: Place): void {
    this.#attempt?.peer.move(seq, x, y);
  }

  protected override sendInput(body: DesktopMessage): void {
    this.#monitor?.used();
    this.#send(body);
  }

  #send(body: DesktopMessage): void {
    this.#attempt?.peer.send(body);
  }
}
