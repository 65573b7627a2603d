import { create, fromBinary, fromJson, toBinary, toJson, type DescMessage } from '@bufbuild/protobuf';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BoundsError, check, decode, encode, MAX_MESSAGE } from './frames';
import { ComputerPolicySchema, FromAgentSchema, ToAgentSchema } from './wire/oriel/v1/agent_pb';
import {
  AgainSchema,
  ChannelEndSchema,
  FromDesktopSchema,
  PointerMoveSchema,
  ToDesktopSchema,
} from './wire/oriel/v1/channel_pb';
import { FromConsoleSchema, ToConsoleSchema } from './wire/oriel/v1/live_pb';
import { CandidateSchema, GrantSchema, RenewalSchema, SupplementSchema } from './wire/oriel/v1/session_pb';

const folder = join(import.meta.dirname, '../../../protocol/testdata/messages');
const types: Record<string, DescMessage> = {
  ComputerPolicy: ComputerPolicySchema,
  FromAgent: FromAgentSchema,
  FromConsole: FromConsoleSchema,
  FromDesktop: FromDesktopSchema,
  Grant: GrantSchema,
  Renewal: RenewalSchema,
  Supplement: SupplementSchema,
  PointerMove: PointerMoveSchema,
  Again: AgainSchema,
  ChannelEnd: ChannelEndSchema,
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

  // Rule: the whole size is bounded where a message is made as where it is read.
  it('hold for the whole message', () => {
    expect(() => decode(ToConsoleSchema, new Uint8Array(MAX_MESSAGE + 1))).toThrow(BoundsError);
    const large = create(ToConsoleSchema);
    large.$unknown = [{ no: 1023, wireType: 2, data: new Uint8Array(MAX_MESSAGE) }];
    expect(() => encode(ToConsoleSchema, large)).toThrow(BoundsError);
  });

  // Rule: bounds hold for unknown fields, too: none is kept, at any depth.
  it('let unknown fields of a newer side pass, and keep none', () => {
    const unknown = [{ no: 1023, wireType: 2, data: new Uint8Array([1, 65]) }];
    const inner = create(CandidateSchema, { candidate: 'c' });
    inner.$unknown = unknown;
    const outer = create(ToConsoleSchema, { body: { case: 'candidate', value: inner } });
    outer.$unknown = unknown;
    const bytes = toBinary(ToConsoleSchema, outer);
    expect(fromBinary(ToConsoleSchema, bytes).$unknown).toHaveLength(1);
    const read = decode(ToConsoleSchema, bytes);
    expect(read.$unknown).toBeUndefined();
    expect(read.body.value?.$unknown).toBeUndefined();
    expect(encode(ToConsoleSchema, read).length).toBeLessThan(bytes.length);
  });

  it.each([[[0xff]], [[0x0a, 0x05, 1]], [[0x22, 0xff, 0xff, 0xff, 0xff, 0x0f]]])(
    'refuse rubbish %j',
    (bytes) => {
      expect(() => decode(ToConsoleSchema, new Uint8Array(bytes))).toThrow();
    },
  );
});
