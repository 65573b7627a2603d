import { ed25519 } from '@noble/curves/ed25519.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as native from './ed25519';
import { fakeLent, FakePeerConnection, FakeSocket, FakeStream } from './fakes';
import { Live } from './live';
import type { Pins } from './trust';
import { Viewer, type ViewerOptions } from './viewer';
import { Preset } from './wire/oriel/v1/channel_pb';
import { Code, EndReason, Mode, Scope } from './wire/oriel/v1/session_pb';

const secret = new Uint8Array(32).fill(7);
const machineKey = ed25519.getPublicKey(secret);
const fingerprint = new Uint8Array(32).fill(0xab);
const sdp = `v=0\r\na=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
const nonce = new Uint8Array(16).fill(3);

function sign(session: string): Uint8Array {
  const parts = [new TextEncoder().encode(session), nonce, fingerprint];
  const bytes = [...new TextEncoder().encode('oriel answer v1\0')];
  for (const part of parts) bytes.push(0, 0, 0, part.length, ...part);
  return ed25519.sign(Uint8Array.from(bytes), secret);
}

let live: Live;
let viewer: Viewer;
let pins: Map<string, Uint8Array>;
let target: HTMLElement;

const settle = () => vi.advanceTimersByTimeAsync(0);
const peer = () => FakePeerConnection.last;
const relay = () => FakeSocket.last;
const opens = () => FakeSocket.all.flatMap((s) => s.of('openSession')).map((b) => b.value);
const controls = (name: string) =>
  FakePeerConnection.all.flatMap((p) => p.control).filter((b) => b.case === name);

async function start(options: Partial<ViewerOptions> = {}) {
  const store: Pins = { get: (id) => pins.get(id), set: (id, key) => void pins.set(id, key) };
  viewer = new Viewer(live, { computerId: 'c1', pins: store, ...options });
  viewer.moveTo(target, 'screen');
  await settle();
}

async function introduce(scopes = [Scope.VIEW, Scope.CONTROL], session = 's1') {
  const attempt = opens().at(-1)?.attempt ?? 0;
  relay().deliver({
    case: 'sessionOpened',
    value: { attempt, sessionId: session, computerKey: machineKey, nonce, scopes },
  });
  await settle();
  return attempt;
}

async function answer(attempt: number, session = 's1', more: object = {}) {
  const value = { attempt, sessionId: session, sdp, nonce, machineKey, signature: sign(session), ...more };
  relay().deliver({ case: 'answer', value });
  await settle();
}

async function connect(options: Partial<ViewerOptions> = {}, scopes?: Scope[]) {
  await start(options);
  await answer(await introduce(scopes));
  peer().become('connected');
  expect(viewer.state.name).toBe('live');
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('RTCPeerConnection', FakePeerConnection);
  vi.stubGlobal('MediaStream', FakeStream);
  // The browser's own takes real time, which these tests do not wait for.
  vi.spyOn(native, 'verify').mockImplementation((key, signature, message) =>
    Promise.resolve(ed25519.verify(signature, message, key, { zip215: false })),
  );
  vi.spyOn(HTMLMediaElement.prototype, 'play').mockResolvedValue();
  FakeSocket.all = [];
  FakePeerConnection.all = [];
  pins = new Map();
  target = document.createElement('div');
  document.body.append(target);
  live = new Live('ws://relay', { open: FakeSocket.open });
  relay().greet();
});
afterEach(() => {
  viewer.close();
  live.close();
  target.remove();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('opening', () => {
  it('offers by itself, with its channels and no playout delay', async () => {
    await start();
    expect(opens()).toMatchObject([
      { attempt: 1, computerId: 'c1', mode: Mode.CONTROL, sdp: 'offer 0', sessionId: '' },
    ]);
    // Before anything can arrive: what is decoded for nobody is dropped.
    const { srcObject } = document.querySelector('video') as HTMLVideoElement;
    expect((srcObject as FakeStream).tracks).toEqual([peer().receiver['track']]);
    expect(peer().channel('pointer').options).toEqual({
      ordered: false,
      maxRetransmits: 0,
      protocol: 'oriel.v1',
    });
    expect(peer().channel('control').options).toEqual({ protocol: 'oriel.v1' });
    expect(peer().receiver).toMatchObject({ jitterBufferTarget: 0, playoutDelayHint: 0 });
    expect(peer().configuration.iceTransportPolicy).toBe('all');
  });

  it('waits for the relay before it offers', async () => {
    relay().drop();
    await start();
    expect(viewer.state.name).toBe('relay');
    expect(opens()).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(400);
    relay().greet();
    await settle();
    expect(opens()).toHaveLength(1);
  });

  it('has its offer ready when the relay is there, and takes the ways that it names', async () => {
    relay().drop();
    await start();
    expect(FakePeerConnection.all).toHaveLength(1);
    expect(peer().localDescription).toBeNull(); // no ways are looked for yet
    await vi.advanceTimersByTimeAsync(400);
    const iceServers = [{ urls: ['turn:relay'], username: 'u', credential: 'c' }];
    relay().onopen?.();
    relay().deliver({ case: 'welcome', value: { personId: 'p', iceServers } });
    await settle();
    expect(FakePeerConnection.all).toHaveLength(1);
    expect(peer().configuration).toEqual({
      iceServers,
      iceTransportPolicy: 'all',
      bundlePolicy: 'max-bundle',
    });
    expect(opens()).toMatchObject([{ attempt: 1, sdp: 'offer 0' }]);
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('leaves no connection behind when it goes before the relay was there', async () => {
    relay().drop();
    await start();
    viewer.close();
    expect(peer().closed).toBe(true);
  });

  it('goes by the relay alone when it is told to', async () => {
    await start({ relayOnly: true });
    expect(peer().configuration.iceTransportPolicy).toBe('relay');
  });

  it('is live once the answer is verified and both sides are connected', async () => {
    const states: string[] = [];
    await start();
    viewer.on('state', (s) => states.push(s.name));
    const attempt = await introduce();
    await answer(attempt);
    expect(peer().remote).toBe(sdp);
    peer().become('connected');
    expect(states).toEqual(['connecting', 'live']);
    expect(pins.get('c1')).toEqual(machineKey);
  });

  it('holds its candidates back until the session is open, and those of the agent until the answer is set', async () => {
    await start();
    peer().onicecandidate?.({
      candidate: { candidate: 'mine', sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'u' },
    });
    expect(relay().of('candidate')).toHaveLength(0);
    const attempt = await introduce();
    expect(relay().of('candidate')[0]?.value).toMatchObject({
      attempt,
      sessionId: 's1',
      candidate: 'mine',
      sdpMid: '0',
    });
    relay().deliver({
      case: 'candidate',
      value: { attempt, sessionId: 's1', candidate: 'theirs', sdpMid: '0' },
    });
    expect(peer().candidates).toHaveLength(0);
    await answer(attempt);
    expect(peer().candidates).toMatchObject([{ candidate: 'theirs', sdpMid: '0' }]);
  });

  it('says that the computer is offline, and goes on when it comes', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    expect(viewer.state.name).toBe('offline');
    await vi.advanceTimersByTimeAsync(25_000);
    expect(viewer.state.name).toBe('offline');
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('offers anew while it waits when its TURN credentials are renewed', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    relay().deliver({ case: 'iceServers', value: {} });
    await settle();
    expect(opens().map((o) => o.attempt)).toEqual([1, 2]);
  });

  it('tries again when nobody answers', async () => {
    await start();
    await introduce();
    await vi.advanceTimersByTimeAsync(16_000);
    expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: 's1' });
    expect(FakePeerConnection.all[0]?.closed).toBe(true);
  });
});

describe('trust', () => {
  it('stops and warns when the key has changed, and connects once it is trusted', async () => {
    const known = new Uint8Array(32).fill(1);
    pins.set('c1', known);
    await start();
    await answer(await introduce());
    expect(viewer.state).toEqual({ name: 'changed', known, shown: machineKey });
    expect(FakePeerConnection.all.map((p) => [p.remote, p.closed])).toEqual([[undefined, true]]);
    expect(
      relay()
        .of('closeSession')
        .map((b) => b.value.sessionId),
    ).toEqual(['s1']);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(opens()).toHaveLength(1);
    viewer.trustNewKey();
    await settle();
    await answer(await introduce(undefined, 's2'), 's2');
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it.each([
    ['a signature for another session', { signature: sign('s2') }],
    ['another nonce', { nonce: new Uint8Array(16) }],
    ['another certificate', { sdp: sdp.replaceAll('AB', 'AC') }],
  ])('stops at %s', async (_name, more) => {
    await start();
    await answer(await introduce(), 's1', more);
    expect(viewer.state.name).toBe('forged');
    expect(peer().remote).toBeUndefined();
    expect(pins.size).toBe(0);
  });

  it('ignores an answer to an older attempt or another session', async () => {
    await start();
    const attempt = await introduce();
    await answer(attempt + 1);
    await answer(attempt, 's9');
    expect(peer().remote).toBeUndefined();
    expect(viewer.state.name).toBe('connecting');
  });
});

describe('resilience', () => {
  it('goes on untouched when only the live socket is lost, and attaches to the next', async () => {
    await connect();
    relay().drop();
    await vi.advanceTimersByTimeAsync(400);
    expect(viewer.state.name).toBe('live');
    relay().greet();
    expect(
      relay()
        .of('attachSession')
        .map((b) => b.value.sessionId),
    ).toEqual(['s1']);
    expect(FakePeerConnection.all).toHaveLength(1);
  });

  it('moves from a lent socket to another without anybody seeing it', async () => {
    live.close();
    const lent = fakeLent();
    live = new Live('ws://relay', { open: FakeSocket.open, lent });
    await connect();
    const seen: unknown[] = [];
    viewer.on('state', (state) => seen.push(state.name));
    viewer.on('unsteady', (silent) => seen.push(silent));
    live.on('state', (state) => seen.push(state));
    live.settle();
    relay().greet();
    const sessions = relay()
      .of('attachSession')
      .map((b) => b.value.sessionId);
    expect(sessions).toEqual(['s1']);
    // What the relay says to the window that it takes the session to be gone from.
    lent.fake.deliver({ case: 'problem', value: { sessionId: 's1', code: Code.BUSY } });
    await settle();
    expect([seen, FakePeerConnection.all.length]).toEqual([[], 1]);
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason: EndReason.ENDED } });
    expect(seen).toEqual(['ended']);
  });

  it('asks anew when the socket goes that it asked on', async () => {
    live.close();
    const lent = fakeLent();
    live = new Live('ws://relay', { open: FakeSocket.open, lent });
    await start();
    lent.ongone?.();
    relay().greet();
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('makes a new connection in the same session after a loss', async () => {
    await connect();
    peer().become('failed');
    expect(viewer.state.name).toBe('resuming');
    await vi.advanceTimersByTimeAsync(300);
    expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: 's1' });
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('gives a silent network two seconds', async () => {
    await connect();
    const unsteady: boolean[] = [];
    viewer.on('unsteady', (silent) => unsteady.push(silent));
    peer().become('disconnected');
    await vi.advanceTimersByTimeAsync(1_900);
    peer().become('connected');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(viewer.state.name).toBe('live');
    expect(unsteady).toEqual([true, false]);
    peer().become('disconnected');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(viewer.state.name).toBe('resuming');
  });

  it('waits for the relay when both are lost', async () => {
    await connect();
    relay().drop();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    expect(viewer.state.name).toBe('resuming');
    const before = opens().length;
    await vi.advanceTimersByTimeAsync(400);
    relay().greet();
    await settle();
    expect(opens()).toHaveLength(before + 1);
  });

  it('opens a new session when the old one is gone', async () => {
    await connect();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    relay().deliver({ case: 'problem', value: { attempt: 2, code: Code.NOT_FOUND } });
    await vi.advanceTimersByTimeAsync(600);
    expect(opens().at(-1)).toMatchObject({ attempt: 3, sessionId: '' });
  });

  it.each([EndReason.NETWORK, EndReason.AGENT_STOPPED, EndReason.LOST])(
    'comes back by itself after an end of reason %i',
    async (reason) => {
      await connect();
      relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason } });
      await vi.advanceTimersByTimeAsync(400);
      expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: '' });
    },
  );

  it('takes the end of one attempt for no more than that', async () => {
    await connect();
    relay().deliver({
      case: 'sessionEnded',
      value: { sessionId: 's1', reason: EndReason.NETWORK, attempt: 9 },
    });
    expect(viewer.state.name).toBe('live');
    relay().deliver({
      case: 'sessionEnded',
      value: { sessionId: 's1', reason: EndReason.NETWORK, attempt: 1 },
    });
    expect(viewer.state.name).toBe('resuming');
    await vi.advanceTimersByTimeAsync(300);
    expect(opens().at(-1)?.sessionId).toBe('s1');
  });
});

describe('ending', () => {
  it.each([EndReason.ENDED, EndReason.CUSTOMER, EndReason.REFUSED, EndReason.TIMEOUT, EndReason.FAILED])(
    'stays ended after reason %i, until it is asked to connect again',
    async (reason) => {
      await connect();
      relay().deliver({
        case: 'sessionEnded',
        value: { sessionId: 's1', reason, code: Code.NO_CODEC, detail: 'd' },
      });
      expect(viewer.state).toEqual({ name: 'ended', reason, code: Code.NO_CODEC, detail: 'd' });
      expect(peer().closed).toBe(true);
      await vi.advanceTimersByTimeAsync(25_000);
      expect(opens()).toHaveLength(1);
      viewer.retry();
      await settle();
      expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: '' });
    },
  );

  it('is heard from the agent as well', async () => {
    await connect();
    peer().say({ case: 'bye', value: { reason: EndReason.ENDED } });
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.ENDED });
  });

  it('by the operator is told to both', async () => {
    await connect();
    viewer.disconnect();
    expect(controls('leave')).toHaveLength(1);
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.OPERATOR });
    // The agent closes when it has heard everything; then the relay is told.
    expect(peer().closed).toBe(false);
    expect(relay().of('closeSession')).toHaveLength(0);
    peer().channel('control').onclose?.();
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('does not wait long for an agent that does not close', async () => {
    await connect();
    viewer.disconnect();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('does not wait at all with the page', async () => {
    await connect();
    viewer.close(true);
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('by closing leaves nothing behind', async () => {
    await connect();
    viewer.close();
    peer().channel('control').onclose?.();
    expect(peer().closed).toBe(true);
    expect(target.childElementCount).toBe(0);
    expect(controls('leave')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(FakePeerConnection.all).toHaveLength(1);
  });

  it('takes back a request that waits', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    viewer.close();
    expect(
      relay()
        .of('closeSession')
        .map((b) => b.value),
    ).toMatchObject([{ sessionId: '', attempt: 1 }]);
  });

  it('shows what the relay objects to', async () => {
    await start();
    relay().deliver({ case: 'problem', value: { attempt: 1, code: Code.FORBIDDEN, detail: 'no' } });
    expect(viewer.state).toEqual({
      name: 'ended',
      reason: EndReason.FAILED,
      code: Code.FORBIDDEN,
      detail: 'no',
    });
  });
});

describe('what the pictures took', () => {
  const look = (at: number, framesDecoded: number) => ({
    ...{ id: 'v', type: 'inbound-rtp', kind: 'video', timestamp: at, framesDecoded },
    ...{ totalDecodeTime: framesDecoded * 0.004, jitterBufferDelay: framesDecoded * 0.002 },
    jitterBufferEmittedCount: framesDecoded,
  });
  const seen = () => controls('seen').map((b) => b.value);

  it('is told while they flow, and before leaving', async () => {
    let frames = 0;
    await start();
    vi.spyOn(peer(), 'getStats').mockImplementation(async () => new Map([['v', look(Date.now(), frames)]]));
    await answer(await introduce());
    peer().become('connected');
    await settle();
    frames = 60;
    await vi.advanceTimersByTimeAsync(9_500);
    expect(seen()).toMatchObject([{ frames: 60, waitUs: 2000, decodeUs: 4000, shownUs: 0 }]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(seen()).toHaveLength(1); // nothing came
    frames = 63;
    await vi.advanceTimersByTimeAsync(1_500);
    viewer.disconnect();
    expect(seen()).toMatchObject([{ frames: 60 }, { frames: 3 }]);
    expect(peer().control.map((b) => b.case)).toEqual(['held', 'ping', 'ping', 'seen', 'seen', 'leave']);
  });
});

describe('input', () => {
  const stage = () => target.querySelector<HTMLElement>('.stage') ?? target;
  const press = (code: string) =>
    stage().dispatchEvent(new KeyboardEvent('keydown', { code, key: code, bubbles: true, cancelable: true }));

  it('goes out only while live', async () => {
    await start();
    press('KeyA');
    await answer(await introduce());
    press('KeyA');
    expect(controls('key')).toHaveLength(0);
    peer().become('connected');
    press('KeyA');
    expect(controls('key')).toHaveLength(1);
  });

  it('stops with view only, and everything is released first', async () => {
    await connect();
    press('KeyA');
    viewer.viewOnly = true;
    press('KeyB');
    expect(controls('key').map((b) => b.value)).toMatchObject([
      { usage: 4, down: true },
      { usage: 4, down: false },
    ]);
    expect(controls('releaseAll')).toHaveLength(1);
  });

  it('without the scope is for the agent to refuse, which is told', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const denied: string[] = [];
    viewer.on('denied', (d) => denied.push(d.detail));
    press('KeyA');
    expect(controls('key')).toHaveLength(1);
    peer().say({ case: 'denied', value: { scope: Scope.CONTROL, code: Code.SCOPE, detail: 'view only' } });
    expect(denied).toEqual(['view only']);
    peer().say({ case: 'dropped', value: { number: 3 } }); // Rule: what came too late is dropped and said.
    expect(controls('heard').map((b) => b.value)).toMatchObject([{ number: 3 }]);
  });

  it('of another mode is another session', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const before = peer();
    viewer.mode = Mode.CONTROL;
    before.channel('control').onclose?.();
    await settle();
    expect(opens().at(-1)).toMatchObject({ attempt: 2, mode: Mode.CONTROL, sessionId: '' });
    expect(
      relay()
        .of('closeSession')
        .map((b) => b.value.sessionId),
    ).toEqual(['s1']);
    expect(controls('leave')).toHaveLength(1);
  });

  it('of long text is cut between characters', async () => {
    await connect();
    viewer.sendText('😀'.repeat(2500));
    const texts = controls('text').map((b) => (b.case === 'text' ? b.value.text : ''));
    expect(texts.map((t) => [...t].length)).toEqual([1000, 1000, 500]);
    expect(texts.join('')).toBe('😀'.repeat(2500));
  });

  it('ends with the connection when the agent says rubbish', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    await connect();
    peer()
      .channel('control')
      .onmessage?.({ data: new Uint8Array([255]).buffer });
    expect(viewer.state.name).toBe('resuming');
  });
});

describe('what the picture is to be like', () => {
  it('is said on every connection, and 4:4:4 is heard of', async () => {
    const heard: boolean[] = [];
    await start();
    viewer.on('fullChroma', (can) => heard.push(can));
    viewer.setStream({ preset: Preset.SHARP, maxFps: 10, maxKbps: 500 });
    await answer(await introduce());
    peer().become('connected');
    peer().say({ case: 'ready', value: { codec: 'AV1', fullChroma: true } });
    expect(heard).toEqual([true]);
    viewer.setStream({ preset: Preset.SPEED, maxFps: 0, maxKbps: 0 });
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(5_000);
    await answer(await introduce());
    peer().become('connected');
    expect(FakePeerConnection.all).toHaveLength(2);
    expect(controls('stream').map((b) => b.value)).toMatchObject([
      { preset: Preset.SHARP, maxFps: 10, maxKbps: 500 },
      { preset: Preset.SPEED, maxFps: 0, maxKbps: 0 },
      { preset: Preset.SPEED, maxFps: 0, maxKbps: 0 },
    ]);
  });
});
