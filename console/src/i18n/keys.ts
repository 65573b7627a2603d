/** Keys of computers, as people compare them. */
import { sha256 } from '@noble/hashes/sha2.js';

/**
 * A key as people compare it, here and at “oriel-agent doctor”: six groups of five
 * digits, each of five bytes of its SHA-256 as a big-endian number modulo 100000.
 */
export function keyForPeople(key: Uint8Array): string {
  const sum = sha256(key);
  return [0, 5, 10, 15, 20, 25]
    .map((at) => sum.subarray(at, at + 5).reduce((n, byte) => n * 256 + byte, 0) % 100_000)
    .map((n) => String(n).padStart(5, '0'))
    .join(' ');
}
