import { ed25519 } from '@noble/curves/ed25519.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as native from './ed25519';
import { FakePeerConnection, FakeSocket, FakeStream } from './fakes';
import { Live } from './live';
import type { Pins } from './trust';
import { Viewer, type ViewerOptions } from './viewer';
import { Code, EndReason, Scope } from './wire/oriel/v1/session_pb';

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

describe('an agent that stops', () => {
  // Rule: a loss is not an end: what comes back by itself is waited for, with words, until the operator says otherwise.
  it.each([
    [EndReason.AGENT_STOPPED, Code.UNSPECIFIED],
    [EndReason.REFUSED, Code.UNAVAILABLE],
    [EndReason.FAILED, Code.UNAVAILABLE],
    [EndReason.OFFLINE, Code.UNSPECIFIED],
  ])('waits for an agent that stopped (reason %i, code %i), however long', async (reason, code) => {
    await connect();
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason: EndReason.AGENT_STOPPED } });
    expect(viewer.state.name).toBe('away');
    // It is still there to refuse, or its relay is not yet done with it.
    await vi.advanceTimersByTimeAsync(400);
    const refused = await introduce(undefined, 's2');
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's2', reason, code } });
    await vi.advanceTimersByTimeAsync(1_000);
    relay().deliver({ case: 'problem', value: { attempt: refused + 1, code: Code.UNAVAILABLE } });
    await vi.advanceTimersByTimeAsync(1_500);
    relay().deliver({ case: 'sessionWaiting', value: { attempt: refused + 2, computerId: 'c1' } });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(viewer.state.name).toBe('away');
    await answer(await introduce(undefined, 's3'), 's3');
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('waits for an agent until the operator ends it', async () => {
    await connect();
    peer().say({ case: 'bye', value: { reason: EndReason.AGENT_STOPPED } });
    await vi.advanceTimersByTimeAsync(400);
    expect(viewer.state.name).toBe('away');
    viewer.disconnect();
    const before = opens().length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.OPERATOR });
    expect(opens()).toHaveLength(before);
  });
});
