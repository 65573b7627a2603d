/**
 * The viewer's half of package trust (protocol/trust): is the answer really
 * from the computer? Its signature covers the grant's nonce and the DTLS
 * certificate of the agent, so a relay in the middle can refuse a session but
 * not read it, as long as this browser knows the computer's key. Held to the
 * same vectors as the Go side (protocol/testdata).
 */
import { verify } from './ed25519';
import { fingerprintOf, seal } from './sdp';

const utf8 = new TextEncoder();

/** A context line, a zero byte and the parts, each preceded by its length. */
function signedBytes(context: string, ...parts: Uint8Array[]): Uint8Array {
  const head = utf8.encode(`${context}\0`);
  const out = new Uint8Array(parts.reduce((n, p) => n + 4 + p.length, head.length));
  const view = new DataView(out.buffer);
  out.set(head);
  let at = head.length;
  for (const part of parts) {
    view.setUint32(at, part.length);
    out.set(part, at + 4);
    at += 4 + part.length;
  }
  return out;
}

/** Reports whether machineKey signed this session's nonce and DTLS fingerprint. Never throws. */
export function verifyAnswer(
  machineKey: Uint8Array,
  sessionId: string,
  nonce: Uint8Array,
  fingerprint: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const message = signedBytes('oriel answer v1', utf8.encode(sessionId), nonce, fingerprint);
  return verify(machineKey, signature, message);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The keys this browser has seen, by computer. */
export interface Pins {
  get(computerId: string): Uint8Array | undefined;
  set(computerId: string, key: Uint8Array): void;
}

/** Pins in localStorage; where that is not to be had, for as long as the page lives. */
export class BrowserPins implements Pins {
  #memory = new Map<string, string>();

  get(computerId: string): Uint8Array | undefined {
    let text = this.#memory.get(computerId);
    try {
      text = localStorage.getItem(pinName(computerId)) ?? text;
    } catch {
      // Storage is switched off: what this page remembers has to do.
    }
    return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? fromHex(text) : undefined;
  }

  set(computerId: string, key: Uint8Array): void {
    this.#memory.set(computerId, toHex(key));
    try {
      localStorage.setItem(pinName(computerId), toHex(key));
    } catch {
      // As above.
    }
  }
}

const pinName = (computerId: string) => `oriel.key.${computerId}`;

export type Verdict =
  /** The certificate that the computer has signed, and the answer sealed with it. */
  | { ok: true; fingerprint: Uint8Array; sdp: string }
  | { ok: false; why: 'changed'; known: Uint8Array; shown: Uint8Array }
  | { ok: false; why: 'forged' };

/** What the relay said of a session, and what the agent answered. */
export interface Claim {
  computerId: string;
  sessionId: string;
  nonce: Uint8Array;
  relaysKey: Uint8Array; // the computer's key as the relay knows it
  answer: { sdp: string; nonce: Uint8Array; machineKey: Uint8Array; signature: Uint8Array };
}

/**
 * Judges an answer: 'changed' if the computer's key is not the one this
 * browser knows, 'forged' if anything else does not fit. The key of a computer
 * never seen before is remembered, once its signature is good.
 */
export async function judge(claim: Claim, pins: Pins): Promise<Verdict> {
  const { answer, computerId } = claim;
  const known = pins.get(computerId);
  if (known && !sameBytes(known, answer.machineKey))
    return { ok: false, why: 'changed', known, shown: answer.machineKey };
  const fingerprint = fingerprintOf(answer.sdp);
  const sdp = fingerprint && seal(answer.sdp, fingerprint);
  const good =
    fingerprint !== undefined &&
    sdp !== undefined &&
    sameBytes(answer.machineKey, claim.relaysKey) &&
    sameBytes(answer.nonce, claim.nonce) &&
    (await verifyAnswer(answer.machineKey, claim.sessionId, claim.nonce, fingerprint, answer.signature));
  if (!good) return { ok: false, why: 'forged' };
  if (!known) pins.set(computerId, answer.machineKey);
  return { ok: true, fingerprint, sdp };
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
