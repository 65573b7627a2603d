/**
 * Session descriptions, read by the one strict rule that agent and relay have as well
 * (protocol/trust/sdp.go, held to the same vectors in protocol/testdata):
 *
 *	description = 1*1024( %x61-7A "=" value CRLF )      at most 65,536 bytes
 *	value       = %x21-7E *2045( %x20-7E )
 *
 * Agents write nothing else. Parsers differ in what else they let pass: a lone CR ends a
 * line for the one and not for the other, a blank is skipped, a letter's case does not
 * count. What is refused here cannot be read in two ways later.
 */
const MAX_LENGTH = 65_536;
const MAX_LINES = 1024;
const LINE = /^[a-z]=[!-~][ -~]{0,2045}$/;
const FINGERPRINT = /^a=fingerprint:sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/i;

// The lines without their ends; undefined outside the rule.
function linesOf(sdp: string): string[] | undefined {
  if (sdp.length > MAX_LENGTH || !sdp.endsWith('\r\n')) return undefined;
  const lines = sdp.slice(0, -2).split('\r\n');
  return lines.length <= MAX_LINES && lines.every((line) => LINE.test(line)) ? lines : undefined;
}

const saysFingerprint = (line: string) => line.toLowerCase().includes('fingerprint');

/**
 * The one SHA-256 DTLS fingerprint (32 bytes) that a session description names, as often
 * as it does. Undefined for a description outside the strict rule, for one that names none,
 * another hash or two that differ, and for any line that says fingerprint in another way.
 */
export function fingerprintOf(sdp: string): Uint8Array<ArrayBuffer> | undefined {
  let found: string | undefined;
  for (const line of linesOf(sdp) ?? []) {
    if (!saysFingerprint(line)) continue;
    const digest = line.startsWith('a=fingerprint:') ? FINGERPRINT.exec(line)?.[1]?.toLowerCase() : undefined;
    if (digest === undefined || (found !== undefined && found !== digest)) return undefined;
    found = digest;
  }
  return found === undefined ? undefined : bytesOf(found);
}

/** The bytes of a fingerprint as descriptions and statistics have it: 01:23:… */
export function bytesOf(digest: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(digest.split(':'), (pair) => parseInt(pair, 16));
}

/**
 * The description with this fingerprint (32 bytes) for all its media, and no other. Every
 * line that says fingerprint in any case goes, and so does what else names who is at the
 * other end, or a key to speak with (identity, crypto, k=). All other lines are as they
 * were. Undefined outside the strict rule.
 */
export function seal(sdp: string, fingerprint: Uint8Array): string | undefined {
  const lines = linesOf(sdp);
  if (!lines || fingerprint.length !== 32) return undefined;
  const digest = Array.from(fingerprint, (b) => b.toString(16).toUpperCase().padStart(2, '0')).join(':');
  const rest = lines.filter((line) => !namesPeer(line));
  const media = rest.findIndex((line) => line.startsWith('m'));
  // Where what counts for all media ends.
  rest.splice(media < 0 ? rest.length : media, 0, `a=fingerprint:sha-256 ${digest}`);
  const sealed = rest.map((line) => `${line}\r\n`).join('');
  return sealed.length <= MAX_LENGTH ? sealed : undefined;
}

// Whether a line says who is at the other end, or with which key.
function namesPeer(line: string): boolean {
  return saysFingerprint(line) || line.startsWith('k') || /^a=(identity|crypto) *(:|$)/i.test(line);
}
