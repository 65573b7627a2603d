import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fingerprintOf, seal } from './sdp';
import { PATIENCE, pick, seeded } from '../seeded';

interface Vector {
  name: string;
  sdp: string;
  fingerprint: string; // empty: refused
  sealed: string; // with the fingerprint 0707…; empty: refused
}
const file = join(import.meta.dirname, '../../../../protocol/testdata/descriptions.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[];
const verified = new Uint8Array(32).fill(7);
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');

// Rule: a description is read by one strict rule at agent, relay and console.
describe('a description is read as the Go side reads it', () => {
  it('has vectors of both kinds', () => {
    expect(vectors.filter((v) => v.fingerprint !== '').length).toBeGreaterThan(5);
    expect(vectors.filter((v) => v.fingerprint === '').length).toBeGreaterThan(50);
  });

  it.each(vectors)('$name', (v) => {
    expect(hex(fingerprintOf(v.sdp))).toBe(v.fingerprint);
    expect(seal(v.sdp, verified) ?? '').toBe(v.sealed);
  });

  it('has at most 65,536 bytes, sealed too', () => {
    const good = vectors[0]?.sdp ?? '';
    const full = good + `a=${'x'.repeat(2000)}\r\n`.repeat(32);
    const most = `${full}a=${'x'.repeat(65_536 - full.length - 4)}\r\n`;
    expect(hex(fingerprintOf(most))).toBe('07'.repeat(32));
    expect(seal(most, verified)?.length).toBeLessThanOrEqual(65_536);
    expect(fingerprintOf(most.replace('s=-', 's=--'))).toBeUndefined();
    const bare = most.replace(/a=fingerprint.*/g, (line) => `a=${'y'.repeat(line.length - 2)}`);
    expect(bare).toHaveLength(65_536);
    expect(seal(bare, verified)).toBeUndefined();
  });

  it('is sealed with 32 bytes only', () => {
    for (const length of [0, 31, 33])
      expect(seal(vectors[0]?.sdp ?? '', new Uint8Array(length))).toBeUndefined();
  });
});

// Rule: whatever stands between the lines, what is accepted names one certificate.
it('names one certificate after any change', { timeout: PATIENCE }, () => {
  const random = seeded(3);
  const pieces = [
    ...[
      '\r',
      '\n',
      '\r\n',
      '\0',
      ' ',
      '\t',
      '\v',
      '\f',
      '\u0085',
      '\u2028',
      '\ufeff',
      ':',
      '=',
      'a=',
      'A=',
      'm=',
    ],
    ...['fingerprint', 'Fingerprint', 'a=fingerprint:sha-256 ', 'sha-1', 'a=identity:x\r\n', 'k=clear:x\r\n'],
    `a=fingerprint:sha-256 ${Array(32).fill('EE').join(':')}\r\n`,
    `a=FINGERPRINT:sha-256 ${Array(32).fill('EE').join(':')}\r\n`,
  ];
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    let { sdp } = pick(random, vectors);
    for (let n = random(4); n >= 0; n--) {
      const at = random(sdp.length + 1);
      sdp = sdp.slice(0, at) + pick(random, pieces) + sdp.slice(at + random(3));
    }
    const sealed = seal(sdp, verified);
    const fingerprint = fingerprintOf(sdp);
    if (fingerprint) accepted++;
    if (fingerprint && !sealed && sdp.length < 65_000) expect.fail(`not sealed: ${JSON.stringify(sdp)}`);
    if (!sealed) continue;
    const named = sealed.match(/fingerprint/gi) ?? [];
    if (named.length !== 1 || hex(fingerprintOf(sealed)) !== '07'.repeat(32))
      expect.fail(`${JSON.stringify(sdp)} was sealed as ${JSON.stringify(sealed)}`);
  }
  expect(accepted).toBeGreaterThan(100);
});
