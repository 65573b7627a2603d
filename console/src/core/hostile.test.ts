import { toBinary, type DescMessage } from '@bufbuild/protobuf';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { check, decode, encode } from './frames';
import { chromaOf, rememberedQuality } from './viewer/quality';
import { parse } from '../routes';
import { anyMessage, mutated, PATIENCE, pick, seeded } from './seeded';
import { StatsReader } from './viewer/stats';
import { FromDesktopSchema, ToDesktopSchema } from './wire/oriel/v1/channel_pb';
import { FromConsoleSchema, ToConsoleSchema } from './wire/oriel/v1/live_pb';

const folder = join(import.meta.dirname, '../../../protocol/testdata/messages');
const golden = readdirSync(folder)
  .filter((file) => file.endsWith('.bin'))
  .map((file) => new Uint8Array(readFileSync(join(folder, file))));

// Rule: whatever arrives is refused, or is a message that keeps every bound and
// survives a round trip.
describe('decode', { timeout: PATIENCE }, () => {
  const types: DescMessage[] = [ToConsoleSchema, FromConsoleSchema, FromDesktopSchema, ToDesktopSchema];

  it.each(types.map((t) => [t.name, t] as const))('takes no %s apart wrongly', (_name, desc) => {
    const random = seeded(15);
    let read = 0;
    for (let round = 0; round < 1_500; round++) {
      const whole = round % 2 === 0 ? pick(random, golden) : toBinary(desc, anyMessage(random, desc));
      const bytes = mutated(random, whole);
      let message;
      try {
        message = decode(desc, bytes);
      } catch (error) {
        if (!(error instanceof Error)) expect.fail(String(error));
        continue;
      }
      read++;
      check(desc, message);
      const again = encode(desc, message);
      if (Buffer.compare(encode(desc, decode(desc, again)), again) !== 0)
        expect.fail(`not the same twice: ${Buffer.from(bytes).toString('hex')}`);
    }
    expect(read).toBeGreaterThan(100);
  });
});

// Rule: figures are numbers, and places are the console's own, whatever they are read from.
describe('readers', { timeout: PATIENCE }, () => {
  const words = [
    '',
    'video',
    'transport',
    'inbound-rtp',
    'candidate-pair',
    'relay',
    'x',
    'video/AV1',
    'profile=1',
    '__proto__',
  ];
  const values = [0, 1, -1, 1e308, NaN, Infinity, null, undefined, true, {}, [], ...words];

  it('of statistics give numbers', () => {
    const random = seeded(153);
    const reader = new StatsReader();
    const names = ['kind', 'timestamp', 'bytesReceived', 'packetsReceived', 'packetsLost', 'framesDecoded', 'mimeType', 'codecId', 'selectedCandidatePairId', 'currentRoundTripTime', 'sdpFmtpLine', 'nominated', 'state']; // prettier-ignore
    for (let round = 0; round < 1_000; round++) {
      const report = new Map<string, unknown>();
      for (let n = random(6); n > 0; n--) {
        const id = pick(random, words);
        const entry: Record<string, unknown> = { id, type: pick(random, words) };
        for (const name of names) if (random(2)) entry[name] = values[random(values.length)];
        report.set(id, entry);
      }
      const stats = reader.read(report as unknown as RTCStatsReport, undefined);
      const figures: unknown[] = [
        stats.fps,
        stats.kbps,
        stats.lossPercent,
        stats.jitterMs,
        stats.decodeMs,
        stats.width,
      ];
      if (figures.some((f) => typeof f !== 'number')) expect.fail(JSON.stringify(stats));
      expect([undefined, 'direct', 'relayed']).toContain(stats.path);
      expect([undefined, '4:2:0', '4:4:4']).toContain(stats.chroma);
      expect(() => chromaOf(pick(random, words), pick(random, words))).not.toThrow();
    }
  });

  it('of addresses and of what this browser kept give what can be chosen', () => {
    const random = seeded(154);
    const parts = [
      '',
      '/',
      'computers',
      'view',
      'journal',
      '..',
      '%2e',
      'a'.repeat(65),
      '\u202e',
      'id-1',
      '//',
      '?x',
      '#',
      '\0',
    ];
    const kept = ['{', '}', '"preset"', ':', '1', '9', 'null', '[]', '"maxFps"', ',', '1e999', '"__proto__"'];
    const some = (list: string[]) => Array.from({ length: random(7) }, () => pick(random, list));
    for (let round = 0; round < 1_000; round++) {
      const route = parse(`/${some(parts).join(pick(random, ['/', '']))}`);
      if (route.id) expect(route.id).toMatch(/^[\w-]{1,64}$/);
      localStorage.setItem('oriel.picture', some(kept).join(''));
      const wish = rememberedQuality();
      expect([0, 10, 15, 30]).toContain(wish.maxFps);
      expect([0, 500, 1000, 2000, 5000]).toContain(wish.maxKbps);
    }
    localStorage.clear();
  });
});
