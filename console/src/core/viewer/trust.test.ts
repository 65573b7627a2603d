import { ed25519 } from '@noble/curves/ed25519.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AccountPins, BrowserPins, sameBytes, type Pins } from './pins';
import { judge, verifyAnswer, type Claim } from './trust';
import { keyForPeople } from '../../i18n/keys';

interface Vector {
  name: string;
  machine_key: string;
  key_text: string;
  session: string;
  nonce: string;
  fingerprint: string;
  signature: string;
  valid: boolean;
}
const file = join(import.meta.dirname, '../../../../protocol/testdata/answers.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[];
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const vector = (name: string) => {
  const found = vectors.find((v) => v.name === name);
  if (!found) throw new Error(`no vector ${name}`);
  return found;
};
const colons = (fingerprint: string) => (fingerprint.match(/../g) ?? []).join(':').toUpperCase();
const sdpOf = (fingerprint: string) => `v=0\r\na=fingerprint:sha-256 ${colons(fingerprint)}\r\nm=video\r\n`;

describe.each(['the browser', 'the library'])('verifyAnswer by %s agrees with the Go side', (by) => {
  const { subtle } = crypto;
  beforeEach(() => {
    if (by === 'the library') vi.stubGlobal('crypto', {}); // as on plain http://
  });
  afterEach(() => vi.unstubAllGlobals());

  it('is done by it', async () => {
    const native = vi.spyOn(subtle, 'verify');
    const { machine_key, session, nonce, fingerprint, signature } = vector('good');
    await verifyAnswer(hex(machine_key), session, hex(nonce), hex(fingerprint), hex(signature));
    expect(native).toHaveBeenCalledTimes(by === 'the browser' ? 1 : 0);
  });

  it('has vectors of both kinds', () => {
    expect(vectors.filter((v) => v.valid)).not.toHaveLength(0);
    expect(vectors.filter((v) => !v.valid)).not.toHaveLength(0);
  });

  it.each(vectors)('$name', async (v) => {
    const [key, nonce, fingerprint, signature] = [v.machine_key, v.nonce, v.fingerprint, v.signature].map(
      hex,
    );
    if (!key || !nonce || !fingerprint || !signature) throw new Error('bad vector');
    expect(await verifyAnswer(key, v.session, nonce, fingerprint, signature)).toBe(v.valid);
    expect(keyForPeople(key)).toBe(v.key_text);
  });

  it('never throws on rubbish', async () => {
    const key = new Uint8Array(32).fill(255);
    expect(await verifyAnswer(key, '', new Uint8Array(), new Uint8Array(), new Uint8Array(64))).toBe(false);
    expect(await verifyAnswer(new Uint8Array(3), '', key, key, new Uint8Array(64))).toBe(false);
  });
});

class MemoryPins implements Pins {
  keys = new Map<string, Uint8Array>();
  get = (id: string) => this.keys.get(id);
  whose = (key: Uint8Array) => [...this.keys].find(([, known]) => sameBytes(known, key))?.[0];
  accountHad: (Uint8Array | undefined)[] = [];
  set = (id: string, key: Uint8Array, accountHas?: Uint8Array) => {
    this.keys.set(id, key);
    this.accountHad.push(accountHas);
  };
}

describe('judge', () => {
  const v = vector('good');
  const key = hex(v.machine_key);
  const other = ed25519.getPublicKey(new Uint8Array(32).fill(5));
  const claim = (): Claim => ({
    computerId: 'c1',
    sessionId: v.session,
    nonce: hex(v.nonce),
    relaysKey: key,
    answer: {
      sdp: sdpOf(v.fingerprint),
      nonce: hex(v.nonce),
      machineKey: key,
      signature: hex(v.signature),
    },
  });

  it('trusts a computer at first sight and remembers its key', async () => {
    const pins = new MemoryPins();
    const good = { ok: true, fingerprint: hex(v.fingerprint), sdp: sdpOf(v.fingerprint) };
    // Rule: the first use of a computer's key is told apart from the next.
    expect(await judge(claim(), pins)).toEqual({ ...good, first: { key, knownAs: undefined } });
    expect(pins.get('c1')).toEqual(key);
    expect(await judge({ ...claim(), accountsKey: key }, pins)).toEqual({ ...good, first: undefined });
    expect(pins.accountHad).toEqual([undefined]);
  });

  it('gives an answer that names that certificate alone', async () => {
    const named = claim();
    named.answer.sdp += 'a=identity:eyJ9\r\na=mid:0\r\n';
    const sdp = `${sdpOf(v.fingerprint)}a=mid:0\r\n`;
    expect(await judge(named, new MemoryPins())).toMatchObject({ ok: true, sdp });
  });

  it('says loudly that a key changed, and does not touch what it knew', async () => {
    const pins = new MemoryPins();
    pins.set('c1', other);
    const change = { known: other, shown: key, by: 'browser' };
    expect(await judge(claim(), pins)).toEqual({ ok: false, why: 'changed', change });
    expect(pins.get('c1')).toEqual(other);
  });

  // Rule: where browser, account or the computer's answer differ, it stops.
  it.each<[string, Uint8Array | undefined, Uint8Array | undefined, object]>([
    ['the account alone knows another', undefined, other, { known: other, by: 'account' }],
    ['the browser knows this one and the account another', key, other, { known: other, by: 'account' }],
    ['the browser knows another and the account this one', other, key, { known: other, by: 'browser' }],
  ])('stops where %s', async (_name, browsers, accountsKey, want) => {
    const pins = new MemoryPins();
    if (browsers) pins.keys.set('c1', browsers);
    const verdict = await judge({ ...claim(), accountsKey }, pins);
    expect(verdict).toEqual({ ok: false, why: 'changed', change: { shown: key, accountsKey, ...want } });
    expect([pins.get('c1'), pins.accountHad]).toEqual([browsers, []]);
  });

  // Rule: what the relay says of the account makes nobody trust: it is still the first use.
  it('is not talked out of a first use by the account', async () => {
    expect(await judge({ ...claim(), accountsKey: key }, new MemoryPins())).toMatchObject({ first: { key } });
  });

  // Rule: pinned by key, not by id: a computer under another id with a known key is the
  // same, and the operator is told which.
  it('knows a computer by its key under another id', async () => {
    const pins = new MemoryPins();
    pins.keys.set('before', key);
    expect(await judge(claim(), pins)).toMatchObject({ ok: true, first: { key, knownAs: 'before' } });
    expect(pins.get('c1')).toEqual(key);
    expect(await judge(claim(), pins)).toMatchObject({ ok: true, first: undefined });
  });

  it('remembers with the account what the browser knew already', async () => {
    const pins = new MemoryPins();
    pins.keys.set('c1', key);
    expect(await judge({ ...claim(), accountsKey: new Uint8Array() }, pins)).toMatchObject({
      first: undefined,
    });
    expect(pins.accountHad).toEqual([undefined]);
  });

  it.each<[string, (c: Claim) => void]>([
    ['another certificate', (c) => (c.answer.sdp = sdpOf('08'.repeat(32)))],
    ['no certificate', (c) => (c.answer.sdp = 'v=0\r\n')],
    ['a certificate that another parser may see', (c) => (c.answer.sdp += '\ra=fingerprint:sha-256 EE\r\n')],
    ['a certificate in other letters', (c) => (c.answer.sdp += 'a=Fingerprint:sha-256 EE\r\n')],
    ['another nonce', (c) => (c.answer.nonce = new Uint8Array(16))],
    ['a nonce that the relay did not give', (c) => (c.nonce = new Uint8Array(16))],
    ['another session', (c) => (c.sessionId = 's-2')],
    ['a key other than the relay says', (c) => (c.relaysKey = other)],
    ['a spoilt signature', (c) => (c.answer.signature = hex(vector('a spoilt signature').signature))],
  ])('refuses %s, and remembers nothing', async (_name, spoil) => {
    const pins = new MemoryPins();
    const spoilt = claim();
    spoil(spoilt);
    expect(await judge(spoilt, pins)).toEqual({ ok: false, why: 'forged' });
    expect(pins.get('c1')).toBeUndefined();
  });
});

describe('BrowserPins', () => {
  beforeEach(() => localStorage.clear());

  it('outlive the page', () => {
    new BrowserPins().set('c1', new Uint8Array(32).fill(3));
    expect(new BrowserPins().get('c1')).toEqual(new Uint8Array(32).fill(3));
    expect(new BrowserPins().get('c2')).toBeUndefined();
  });

  // Rule: pins are key → computer, and id → key.
  it('know a key of whichever computer, unless that one has another by now', () => {
    const [a, b] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)];
    new BrowserPins().set('c1', a);
    expect([new BrowserPins().whose(a), new BrowserPins().whose(b)]).toEqual(['c1', undefined]);
    new BrowserPins().set('c1', b);
    expect([new BrowserPins().whose(a), new BrowserPins().whose(b)]).toEqual([undefined, 'c1']);
  });

  it('are said to the account, with what it has', async () => {
    const fetched = vi.spyOn(globalThis, 'fetch').mockResolvedValue(new Response(null, { status: 204 }));
    const [a, b] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)];
    new AccountPins().set('c1', a, a); // it knows
    new AccountPins().set('c1', b, a);
    await vi.waitFor(() => expect(fetched).toHaveBeenCalledTimes(1));
    const request = fetched.mock.calls[0]?.[0] as Request;
    expect([request.method, new URL(request.url).pathname]).toEqual(['PUT', '/api/v1/me/keys/c1']);
    const text = (key: Uint8Array) => Buffer.from(key).toString('base64');
    expect(await request.json()).toEqual({ key: text(b), replaces: text(a) });
  });

  it('do for the page where there is no storage', () => {
    vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
      throw new DOMException('denied');
    });
    vi.spyOn(Storage.prototype, 'getItem').mockImplementation(() => {
      throw new DOMException('denied');
    });
    const pins = new BrowserPins();
    pins.set('c1', new Uint8Array(32).fill(3));
    expect(pins.get('c1')).toEqual(new Uint8Array(32).fill(3));
  });
});

it('shows a key in groups that people can compare', () => {
  expect(keyForPeople(new Uint8Array(32))).toBe('34584 15407 68110 72389 41680 02623');
});
