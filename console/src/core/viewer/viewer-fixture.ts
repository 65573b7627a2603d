/**
 * A viewer beside a fake relay and fake peer connections, made anew for each test
 * of the file that imports it.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import * as native from './ed25519';
import { FakePeerConnection, FakeSocket, FakeStream } from '../fakes';
import { Live } from '../relay/live';
import { sameBytes, type Pins } from './pins';
import { Viewer, type ViewerOptions } from './viewer';
import { Scope } from '../wire/oriel/v1/session_pb';

export const secret = new Uint8Array(32).fill(7);
export const machineKey = ed25519.getPublicKey(secret);
export const fingerprint = sha256(FakePeerConnection.certificate);
export const digest = Array.from(fingerprint, (b) => b.toString(16).toUpperCase().padStart(2, '0')).join(':');
export const sdp = `v=0\r\na=fingerprint:sha-256 ${digest}\r\n`;
export const nonce = new Uint8Array(16).fill(3);

export function sign(session: string): Uint8Array {
  const parts = [new TextEncoder().encode(session), nonce, fingerprint];
  const bytes = [...new TextEncoder().encode('oriel answer v1\0')];
  for (const part of parts) bytes.push(0, 0, 0, part.length, ...part);
  return ed25519.sign(Uint8Array.from(bytes), secret);
}

export let live: Live;
export let viewer: Viewer;
export let pins: Map<string, Uint8Array>;
export let target: HTMLElement;

export const settle = () => vi.advanceTimersByTimeAsync(0);
export const peer = () => FakePeerConnection.last;
export const relay = () => FakeSocket.last;
export const opens = () => FakeSocket.all.flatMap((s) => s.of('openSession')).map((b) => b.value);
export const controls = (name: string) =>
  FakePeerConnection.all.flatMap((p) => p.control).filter((b) => b.case === name);

export async function start(options: Partial<ViewerOptions> = {}) {
  const store: Pins = {
    get: (id) => pins.get(id),
    whose: (key) => [...pins].find(([, known]) => sameBytes(known, key))?.[0],
    set: (id, key) => void pins.set(id, key),
  };
  viewer = new Viewer(live, { computerId: 'c1', pins: store, ...options });
  viewer.moveTo(target, 'screen');
  await settle();
}

export async function introduce(scopes = [Scope.VIEW, Scope.CONTROL], session = 's1') {
  const attempt = opens().at(-1)?.attempt ?? 0;
  relay().deliver({
    case: 'sessionOpened',
    value: { attempt, sessionId: session, computerKey: machineKey, nonce, scopes },
  });
  await settle();
  return attempt;
}

export async function answer(attempt: number, session = 's1', more: object = {}) {
  const value = { attempt, sessionId: session, sdp, nonce, machineKey, signature: sign(session), ...more };
  relay().deliver({ case: 'answer', value });
  await settle();
}

/** The browser has decoded a picture of the newest connection. */
export function picture(): void {
  target.querySelector('video')?.dispatchEvent(new Event('loadeddata'));
}

export async function connect(options: Partial<ViewerOptions> = {}, scopes?: Scope[]) {
  await start(options);
  await answer(await introduce(scopes));
  peer().become('connected');
  picture();
  expect(viewer.state.name).toBe('live');
}

/** Goes on with another live socket. */
export function useLive(other: Live): void {
  live = other;
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
