/**
 * The one way in which bytes become messages and back: every bound written in
 * the .proto files (protocol/oriel/v1/bounds.proto) is checked in both
 * directions, as package orielv1 does in Go.
 */
import {
  fromBinary,
  getOption,
  hasOption,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type MessageShape,
} from '@bufbuild/protobuf';
import { max_items, max_len } from './wire/oriel/v1/bounds_pb';

/** The largest encoded message, in bytes, that either side reads. */
export const MAX_MESSAGE = 4 << 20;

const DEFAULT_MAX_LEN = 256;
const DEFAULT_MAX_ITEMS = 64;
const MAX_DEPTH = 16;

export class BoundsError extends Error {
  override readonly name = 'BoundsError';
}

/**
 * Parses bytes, without the fields that are not known here, and checks every bound. Throws
 * on anything that is not a good message.
 */
export function decode<D extends DescMessage>(desc: D, bytes: Uint8Array): MessageShape<D> {
  if (bytes.length > MAX_MESSAGE) throw new BoundsError(`message of ${bytes.length} bytes`);
  const message = fromBinary(desc, bytes, { readUnknownFields: false });
  check(desc, message);
  return message;
}

/** Serializes a message that keeps its bounds; one that does not is our own fault, and thrown. */
export function encode<D extends DescMessage>(desc: D, message: MessageShape<D>): Uint8Array<ArrayBuffer> {
  check(desc, message);
  const bytes = toBinary(desc, message);
  if (bytes.length > MAX_MESSAGE) throw new BoundsError(`${desc.name} of ${bytes.length} bytes`);
  return bytes;
}

/** Throws BoundsError for the first field that is longer than its bound. */
export function check(desc: DescMessage, message: object, depth = 0): void {
  if (depth > MAX_DEPTH) throw new BoundsError(`${desc.name}: nested too deep`);
  for (const rule of rulesOf(desc)) {
    const value = rule.read(message as Record<string, unknown>);
    if (value === undefined) continue;
    if (!rule.list) checkValue(rule, value, depth);
    else {
      const items = value as unknown[];
      if (items.length > rule.maxItems)
        throw new BoundsError(`${rule.name} has ${items.length} items, at most ${rule.maxItems}`);
      for (const item of items) checkValue(rule, item, depth);
    }
  }
}

interface Rule {
  name: string;
  list: boolean;
  maxItems: number;
  maxLen: number;
  message: DescMessage | undefined;
  read(message: Record<string, unknown>): unknown;
}

const rules = new Map<string, Rule[]>();

function rulesOf(desc: DescMessage): Rule[] {
  let list = rules.get(desc.typeName);
  if (!list) rules.set(desc.typeName, (list = desc.fields.flatMap(ruleOf)));
  return list;
}

function ruleOf(field: DescField): Rule[] {
  const message = field.message;
  const scalar = 'scalar' in field ? field.scalar : undefined;
  const sized = scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
  const list = field.fieldKind === 'list';
  if (field.fieldKind === 'map') throw new Error(`${field.toString()}: the protocol has no maps`);
  if (!message && !sized && !list) return [];
  const { localName, oneof } = field;
  return [
    {
      name: `${field.parent.name}.${field.name}`,
      list,
      maxItems: hasOption(field, max_items) ? getOption(field, max_items) : DEFAULT_MAX_ITEMS,
      maxLen: sized ? (hasOption(field, max_len) ? getOption(field, max_len) : DEFAULT_MAX_LEN) : Infinity,
      message,
      read(m) {
        if (!oneof) return m[localName];
        const chosen = m[oneof.localName] as { case?: string; value?: unknown };
        return chosen.case === localName ? chosen.value : undefined;
      },
    },
  ];
}

function checkValue(rule: Rule, value: unknown, depth: number): void {
  if (rule.message) return check(rule.message, value as object, depth + 1);
  const length = typeof value === 'string' ? byteLength(value, rule.maxLen) : (value as Uint8Array).length;
  if (length > rule.maxLen) throw new BoundsError(`${rule.name} has ${length} bytes, at most ${rule.maxLen}`);
}

const utf8 = new TextEncoder();

// A UTF-16 unit is at most three bytes of UTF-8, so most strings need no counting.
function byteLength(text: string, limit: number): number {
  return text.length * 3 <= limit ? text.length : utf8.encode(text).length;
}
