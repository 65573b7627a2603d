/** Keys of computers, as people compare them. */
import { sha256 } from '@noble/hashes/sha2.js';

/** A key as people compare it: the SHA-256 in groups of four hexadecimal digits. */
export function keyForPeople(key: Uint8Array): string {
  return (toHex(sha256(key)).match(/.{4}/g) ?? []).join(' ');
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
