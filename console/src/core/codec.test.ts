import { create, fromBinary, fromJson, toBinary, toJson, type DescMessage } from '@bufbuild/protobuf';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BoundsError, check, decode, encode, MAX_MESSAGE } from './codec';
import { FromAgentSchema, ToAgentSchema } from './wire/oriel/v1/agent_pb';
import {
  AgainSchema,
  FromDesktopSchema,
  PointerMoveSchema,
  ToDesktopSchema,
} from './wire/oriel/v1/channel_pb';
import { FromConsoleSchema, ToConsoleSchema } from './wire/oriel/v1/live_pb';

const folder = join(import.meta.dirname, '../../../protocol/testdata/messages');
const types: Record<string, DescMessage> = {
  FromAgent: FromAgentSchema,
  FromConsole: FromConsoleSchema,
  FromDesktop: FromDesktopSchema,
  PointerMove: PointerMoveSchema,
  Again: AgainSchema,
  ToAgent: ToAgentSchema,
  ToConsole: ToConsoleSchema,
  ToDesktop: ToDesktopSchema,
};
const golden = readdirSync(folder).flatMap((file) => /^(\w+)\.(\w+)\.bin$/.exec(file)?.slice(0, 3) ?? []);
const cases = Array.from({ length: golden.length / 3 }, (_, i) => golden.slice(i * 3, i * 3 + 3) as [string, string, string]); // prettier-ignore

describe('golden messages', () => {
  it('are there', () => expect(cases.length).toBeGreaterThan(10));

  it.each(cases)('%s', (file, name, type) => {
    const desc = types[type];
    if (!desc) throw new Error(`${file}: add ${type} to the table`);
    const bytes = new Uint8Array(readFileSync(join(folder, file)));
    if (name === 'unbounded') return expect(() => decode(desc, bytes)).toThrow(BoundsError);
    const json: unknown = JSON.parse(readFileSync(join(folder, `${name}.${type}.json`), 'utf8'));
    const message = decode(desc, bytes);
    expect(toJson(desc, message, { useProtoFieldName: true })).toEqual(
      toJson(desc, fromJson(desc, json as never), { useProtoFieldName: true }),
    );
    expect(Buffer.from(encode(desc, message))).toEqual(Buffer.from(bytes));
  });
});

describe('bounds', () => {
  const text = (value: string) => create(ToDesktopSchema, { body: { case: 'text', value: { text: value } } });

  it.each([
    ['bytes of UTF-8 and not of UTF-16', text('€'.repeat(1366)), text('€'.repeat(1365))],
    [
      'a length of its own',
      create(FromConsoleSchema, { body: { case: 'closeSession', value: { sessionId: 'x'.repeat(65) } } }),
      create(FromConsoleSchema, { body: { case: 'closeSession', value: { sessionId: 'x'.repeat(64) } } }),
    ],
    [
      'the number of items',
      create(ToConsoleSchema, { body: { case: 'journal', value: { entries: Array.from({ length: 101 }, () => ({})) } } }), // prettier-ignore
      create(ToConsoleSchema, { body: { case: 'journal', value: { entries: Array.from({ length: 100 }, () => ({})) } } }), // prettier-ignore
    ],
    [
      'an item of a list',
      create(ToConsoleSchema, { body: { case: 'computer', value: { operators: ['x'.repeat(257)] } } }),
      create(ToConsoleSchema, { body: { case: 'computer', value: { operators: ['x'.repeat(256)] } } }),
    ],
    [
      'a message within a message',
      create(ToConsoleSchema, { body: { case: 'computer', value: { summary: { os: 'x'.repeat(33) } } } }),
      create(ToConsoleSchema, { body: { case: 'computer', value: { summary: { os: 'x'.repeat(32) } } } }),
    ],
  ])('hold for %s', (_name, bad, good) => {
    const desc = types[bad.$typeName.replace('oriel.v1.', '')];
    if (!desc) throw new Error('unknown type');
    expect(() => encode(desc, bad)).toThrow(BoundsError);
    expect(() => decode(desc, toBinary(desc, bad))).toThrow(BoundsError);
    expect(() => check(desc, good)).not.toThrow();
    expect(() => decode(desc, toBinary(desc, good))).not.toThrow();
  });

  it('hold for the whole message', () => {
    expect(() => decode(ToConsoleSchema, new Uint8Array(MAX_MESSAGE + 1))).toThrow(BoundsError);
  });

  it('let unknown fields of a newer side pass', () => {
    const bytes = new Uint8Array([0xfa, 0x3f, 1, 65]); // field 1023, one byte
    expect(decode(ToConsoleSchema, bytes).body.case).toBeUndefined();
    expect(fromBinary(ToConsoleSchema, bytes).$unknown).toHaveLength(1);
  });

  it.each([[[0xff]], [[0x0a, 0x05, 1]], [[0x22, 0xff, 0xff, 0xff, 0xff, 0x0f]]])(
    'refuse rubbish %j',
    (bytes) => {
      expect(() => decode(ToConsoleSchema, new Uint8Array(bytes))).toThrow();
    },
  );
});
