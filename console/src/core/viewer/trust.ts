/**
 * The viewer's half of package trust (protocol/trust): is the answer really
 * from the computer? Its signature covers the grant's nonce and the DTLS
 * certificate of the agent, so a relay in the middle can refuse a session but
 * not read it, as long as this browser knows the computer's key. Held to the
 * same vectors as the Go side (protocol/testdata).
 */
import { verify } from './ed25519';
import { sameBytes, type Pins } from './pins';
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

export type Verdict =
  /** The certificate that the computer has signed, and the answer sealed with it. */
  | { ok: true; fingerprint: Uint8Array; sdp: string; first: FirstUse | undefined }
  | { ok: false; why: 'changed'; change: KeyChange }
  | { ok: false; why: 'forged' };

/** A key that this browser has not seen from this computer before. */
export interface FirstUse {
  key: Uint8Array;
  /** The computer that it was the key of until now; undefined: it was nobody's. */
  knownAs: string | undefined;
}

/** A key that is another one than is known. */
export interface KeyChange {
  known: Uint8Array;
  shown: Uint8Array;
  /** Who knows it. */
  by: 'browser' | 'account';
  /** What the account remembers, whoever it was. */
  accountsKey: Uint8Array | undefined;
}

/** What the relay said of a session, and what the agent answered. */
export interface Claim {
  computerId: string;
  sessionId: string;
  nonce: Uint8Array;
  relaysKey: Uint8Array; // the computer's key as the relay knows it
  accountsKey?: Uint8Array | undefined; // as the person's account remembers it
  answer: { sdp: string; nonce: Uint8Array; machineKey: Uint8Array; signature: Uint8Array };
}

/**
 * Judges an answer: 'changed' if the computer's key is not the one that this
 * browser knows, or not the one that the account remembers; 'forged' if anything
 * else does not fit. A key is remembered for the computer once its signature is
 * good. A key that another id had is the same computer's; which, is said.
 */
export async function judge(claim: Claim, pins: Pins): Promise<Verdict> {
  const { answer, computerId } = claim;
  const { machineKey: shown } = answer;
  const known = pins.get(computerId);
  const accountsKey = claim.accountsKey?.length ? claim.accountsKey : undefined;
  if (known && !sameBytes(known, shown))
    return { ok: false, why: 'changed', change: { known, shown, by: 'browser', accountsKey } };
  if (accountsKey && !sameBytes(accountsKey, shown))
    return { ok: false, why: 'changed', change: { known: accountsKey, shown, by: 'account', accountsKey } };
  const fingerprint = fingerprintOf(answer.sdp);
  const sdp = fingerprint && seal(answer.sdp, fingerprint);
  const good =
    fingerprint !== undefined &&
    sdp !== undefined &&
    sameBytes(answer.machineKey, claim.relaysKey) &&
    sameBytes(answer.nonce, claim.nonce) &&
    (await verifyAnswer(answer.machineKey, claim.sessionId, claim.nonce, fingerprint, answer.signature));
  if (!good) return { ok: false, why: 'forged' };
  const first = known ? undefined : { key: shown, knownAs: pins.whose(shown) };
  if (!known || !accountsKey) pins.set(computerId, shown, accountsKey);
  return { ok: true, fingerprint, sdp, first };
}
