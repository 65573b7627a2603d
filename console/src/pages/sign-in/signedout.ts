/** Why somebody is signed out in the midst of work, in a sentence. */
import { SignOutReason } from '../../core/wire/oriel/v1/live_pb';
import { m } from '../../paraglide/messages.js';

const WORDS = {
  [SignOutReason.UNSPECIFIED]: m.signed_out_text,
  [SignOutReason.SIGNED_OUT]: m.signed_out_here,
  [SignOutReason.ELSEWHERE]: m.signed_out_elsewhere,
  [SignOutReason.PASSWORD]: m.signed_out_password,
  [SignOutReason.REMOVED]: m.signed_out_removed,
  [SignOutReason.BLOCKED]: m.signed_out_blocked,
  [SignOutReason.EXPIRED]: m.signed_out_expired,
  [SignOutReason.ADDRESS]: m.signed_out_address,
} as const satisfies Record<SignOutReason, () => string>;

/** A reason of a newer relay is none that is known here. */
export const signedOutWords = (reason: SignOutReason) =>
  new Map<number, () => string>(Object.entries(WORDS).map(([code, words]) => [Number(code), words])).get(
    reason,
  )?.() ?? m.signed_out_text();
