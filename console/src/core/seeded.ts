/** What tests make at random, the same in every run. */
import { create, ScalarType, type DescField, type DescMessage, type MessageShape } from '@bufbuild/protobuf';

/** How long a test of many rounds may take, in ms: machines have other things to do. */
export const PATIENCE = 60_000;

/** Whole numbers from 0 to n - 1 (mulberry32). */
export type Random = (n: number) => number;

export function seeded(seed: number): Random {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

export function pick<T>(random: Random, list: readonly T[]): T {
  const at = random(list.length);
  const [found] = list.slice(at, at + 1);
  if (found === undefined) throw new Error('nothing to pick from');
  return found;
}

/** The bytes with a few changed, taken out, put in or doubled. */
export function mutated(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = [...bytes];
  for (let n = random(6); n >= 0; n--) {
    const at = random(out.length + 1);
    const some = Array.from({ length: random(8) }, () => pick(random, [0, 1, 0x7f, 0x80, 0xff, random(256)]));
    const kinds = [
      () => out.splice(at, 1, ...some.slice(0, 1)),
      () => out.splice(at, random(16)),
      () => out.splice(at, 0, ...some),
      () => out.splice(at, 0, ...out.slice(at, at + random(64))),
      () => (out[at] = (out[at] ?? 0) ^ (1 << random(8))),
      () => out.splice(at),
    ];
    pick(random, kinds)();
  }
  return Uint8Array.from(out);
}

/** A message with values of every kind, the largest and the strangest among them. */
export function anyMessage<D extends DescMessage>(random: Random, desc: D, depth = 0): MessageShape<D> {
  const init: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (field.oneof || random(3) === 0) continue;
    init[field.localName] = anyField(random, field, depth);
  }
  for (const oneof of desc.oneofs) {
    const field = pick(random, oneof.fields);
    init[oneof.localName] = { case: field.localName, value: anyField(random, field, depth) };
  }
  return create(desc, init as never);
}

function anyField(random: Random, field: DescField, depth: number): unknown {
  const one = () => {
    if (field.message) return anyMessage(random, field.message, depth + 1);
    if (field.enum) return pick(random, [...field.enum.values.map((v) => v.number), 99, -1]);
    return anyScalar(random, field.scalar);
  };
  if (field.fieldKind !== 'list') return one();
  return Array.from({ length: depth > 2 ? 0 : random(4) }, one);
}

function anyScalar(random: Random, type: ScalarType | undefined): unknown {
  switch (type) {
    case ScalarType.STRING:
      return pick(random, ['', 'a', '\0', '<b>&', '\u202egnp', 's1', 'c1', '../..', 'x'.repeat(32)]);
    case ScalarType.BYTES:
      return new Uint8Array(pick(random, [0, 1, 4, 16, 32])).fill(random(256));
    case ScalarType.BOOL:
      return random(2) === 1;
    case ScalarType.INT64:
      return pick(random, [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), BigInt(random(1000))]);
    case ScalarType.UINT64:
      return pick(random, [0n, 1n, 2n ** 64n - 1n, BigInt(random(1000))]);
    case ScalarType.INT32:
    case ScalarType.SINT32:
      return pick(random, [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), random(1000)]);
    default:
      return pick(random, [0, 1, 2, 65_535, 65_536, 2 ** 32 - 1, random(1000)]);
  }
}
