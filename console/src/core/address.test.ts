import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isExposed, isLoopback, parseAddress } from './address';

interface Vectors {
  read: Record<string, string>;
  refused: string[];
  loopback: string[];
  beyond: string[];
}

const file = join(import.meta.dirname, '../../../protocol/testdata/addresses.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

// Rule: addresses (IDN, ports, paths, IPv6 with zone) are read by one parser in
// agent, relay, console and installer: this one agrees with Go's.
it.each(Object.entries(vectors.read))('reads %j as %s', (text, want) => {
  expect(parseAddress(text)?.text).toBe(want);
});

it.each(vectors.refused)('refuses %j', (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

it('knows what is exposed', () => {
  for (const text of vectors.loopback) {
    const address = parseAddress(text);
    expect(address && isLoopback(address.host) && !isExposed(address), text).toBe(true);
  }
  for (const text of vectors.beyond) {
    const address = parseAddress(text);
    expect(address && !isLoopback(address.host) && isExposed(address), text).toBe(true);
  }
});
