import { create, toBinary, type DescMessage } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodePlain, line } from './sanitize';
import { anyMessage, PATIENCE, seeded } from './seeded';
import { ChannelEndSchema, FromDesktopSchema } from './wire/oriel/v1/channel_pb';

interface Vector {
  name: string;
  in: string;
  want: string;
  limit: number;
}
const file = join(import.meta.dirname, '../../../protocol/testdata/lines.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[];

// Rule: text of others is plain by the same rule as in the agent and the relay.
describe('a line', () => {
  it.each(vectors.map((v) => [v.name, v] as const))('of %s', (_name, v) => {
    expect(line(v.in, v.limit)).toBe(v.want);
    expect(line(v.want, v.limit)).toBe(v.want);
  });
});

/** Every text in a value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, inner]) => (name.startsWith('$') ? [] : texts(inner)));
}

// Rule: no text of a message that an agent sends is shown but as a line.
describe('a message of an agent', { timeout: PATIENCE }, () => {
  const types: DescMessage[] = [FromDesktopSchema, ChannelEndSchema];

  it.each(types.map((t) => [t.name, t] as const))('%s has plain texts only', (_name, desc) => {
    const random = seeded(16);
    let odd = 0;
    for (let round = 0; round < 500; round++) {
      const message = anyMessage(random, desc);
      odd += texts(message).filter((text) => line(text) !== text).length;
      const read = decodePlain(desc, toBinary(desc, message));
      expect(texts(read).filter((text) => line(text) !== text)).toEqual([]);
    }
    expect(odd).toBeGreaterThan(20);
  });

  it('keeps what is plain, and all that is no text', () => {
    const body = { case: 'bye', value: { reason: 2, code: 5, detail: 'a\u202e  b' } } as const;
    const bytes = toBinary(FromDesktopSchema, create(FromDesktopSchema, { body }));
    expect(decodePlain(FromDesktopSchema, bytes).body.value).toMatchObject({
      reason: 2,
      code: 5,
      detail: 'a b',
    });
  });
});
