/**
 * The table: what each row is read from, and its target. Targets are ratios to
 * the reference in the same run where they can be.
 */
import type { Results } from './results.ts';

type Figure = number | undefined;

type Target = {
  words: string;
  met(oriel: number, reference: Figure): boolean;
};

export type Row = {
  measure: string;
  figure: string;
  /** the reference's, if it is another */
  beside?: string;
  unit: string;
  /** the worst of all rounds instead of the median */
  worst?: boolean;
  target?: Target;
  /** figures of the reference are shown, but for this row it has none */
  alone?: boolean;
};

const atMost = (n: number): Target => ({ words: `≤ ${n}`, met: (v) => v <= n });
const atLeast = (n: number): Target => ({ words: `≥ ${n}`, met: (v) => v >= n });
const times = (n: number, words = `≤ ${n}×`): Target => ({
  words,
  met: (v, reference) =>
    reference !== undefined && (v <= n * reference || (Number.isNaN(reference) && v >= 0)),
});

export const rows: Row[] = [
  { measure: 'key → pixel, median', figure: 'key median', unit: 'ms', target: times(0.9) },
  { measure: 'key → pixel, p95', figure: 'key p95', unit: 'ms', target: times(1) },
  { measure: 'key → pixel, worst', figure: 'key worst', unit: 'ms', worst: true, target: atMost(100) },
  { measure: 'click → first correct picture', figure: 'first', unit: 'ms', target: times(1) },
  {
    measure: 'the same, both in the page that is open',
    figure: 'first in the same tab',
    beside: 'first',
    unit: 'ms',
    target: times(1),
  },
  {
    measure: 'the same, both in a tab that the click opens',
    figure: 'first',
    beside: 'first in a new tab',
    unit: 'ms',
  },
  { measure: 'scroll: whole pictures', figure: 'scroll whole', unit: '/s', target: atLeast(29) },
  { measure: 'scroll: age', figure: 'scroll age', unit: 'ms', target: times(1) },
  { measure: 'scroll: bytes', figure: 'scroll bytes', unit: 'kB/s', target: times(1 / 25, '≤ 1/25') },
  {
    measure: 'scroll: bytes for each whole picture',
    figure: 'scroll bytes each',
    unit: 'kB',
    target: times(1 / 25, '≤ 1/25'),
  },
  { measure: 'scroll: PSNR', figure: 'scroll psnr', unit: 'dB', target: atLeast(45) },
  {
    measure: 'scroll: lossless (50 dB) after it stops',
    figure: 'scroll sharp',
    unit: 'ms',
    target: atMost(500),
  },
  { measure: 'video: whole pictures', figure: 'video whole', unit: '/s', target: atLeast(29) },
  { measure: 'video: age', figure: 'video age', unit: 'ms', target: times(1.3) },
  { measure: 'video: bytes', figure: 'video bytes', unit: 'kB/s', target: times(1 / 4, '≤ 1/4') },
  { measure: 'video: PSNR', figure: 'video psnr', unit: 'dB', target: atLeast(33) },
  { measure: 'typing 5 keys/s: bytes', figure: 'typing bytes', unit: 'kB/s', target: times(1) },
  { measure: 'typing: key → pixel, median', figure: 'typing median', unit: 'ms', target: times(1) },
  {
    measure: 'typing: key → pixel, worst',
    figure: 'typing worst',
    unit: 'ms',
    worst: true,
    target: times(1),
  },
  { measure: 'idle: bytes, both ways', figure: 'idle all bytes', unit: 'B/s', target: atMost(100) },
  { measure: 'idle: agent CPU', figure: 'idle cpu', unit: '%', target: atMost(0.2) },
  { measure: 'idle: pictures', figure: 'idle decoded', unit: '', target: atMost(0), alone: true },
  { measure: 'agent CPU: scroll', figure: 'scroll cpu', unit: '%', target: atMost(40) },
  { measure: 'agent CPU: typing', figure: 'typing cpu', unit: '%', target: atMost(4) },
  { measure: 'agent CPU: video', figure: 'video cpu', unit: '%', target: atMost(70) },
  { measure: 'second viewer: more agent CPU', figure: 'second cpu', unit: '%', target: atMost(5) },
  { measure: 'changes right (≤ 16 luma) within 200 ms', figure: 'right', unit: '%', target: atLeast(100) },
  { measure: 'changes: time until right, p95', figure: 'right p95', unit: 'ms', target: atMost(200) },
  { measure: 'changes never right (3 s)', figure: 'never right', unit: '', worst: true, target: atMost(0) },

  { measure: '5 Mbit/s: click → first picture', figure: '5mbit first', unit: 'ms' },
  {
    measure: '5 Mbit/s: the same in the page that is open',
    figure: '5mbit first in the same tab',
    unit: 'ms',
  },
  { measure: '5 Mbit/s: key → pixel, p95', figure: '5mbit key p95', unit: 'ms', target: times(1.2) },
  {
    measure: '5 Mbit/s: scroll, whole pictures',
    figure: '5mbit scroll whole',
    unit: '/s',
    target: atLeast(27),
  },
  { measure: '5 Mbit/s: scroll, age', figure: '5mbit scroll age', unit: 'ms', target: atMost(75) },
  { measure: '5 Mbit/s: scroll, age p95', figure: '5mbit scroll age p95', unit: 'ms', target: atMost(200) },
  {
    measure: '5 Mbit/s: scroll, age grows',
    figure: '5mbit scroll age slope',
    unit: 'ms/s',
    target: atMost(5),
  },
  {
    measure: '5 Mbit/s: lossless after scroll',
    figure: '5mbit scroll sharp',
    unit: 'ms',
    target: atMost(500),
  },

  { measure: '1 Mbit/s: click → first picture', figure: '1mbit first', unit: 'ms', target: atMost(1000) },
  {
    measure: '1 Mbit/s: the same in the page that is open',
    figure: '1mbit first in the same tab',
    unit: 'ms',
  },
  {
    measure: '1 Mbit/s: first picture lossless',
    figure: '1mbit first sharp',
    unit: 'ms',
    target: atMost(5000),
  },
  { measure: '1 Mbit/s: key → pixel, median', figure: '1mbit key median', unit: 'ms', target: times(1.05) },
  {
    measure: '1 Mbit/s: other window readable',
    figure: '1mbit window readable',
    unit: 'ms',
    target: atMost(700),
  },
  {
    measure: '1 Mbit/s: scroll, whole pictures',
    figure: '1mbit scroll whole',
    unit: '/s',
    target: atLeast(10),
  },
  { measure: '1 Mbit/s: scroll, age', figure: '1mbit scroll age', unit: 'ms', target: atMost(300) },

  { measure: '300 kbit/s: click → first picture', figure: '300kbit first', unit: 'ms' },
  { measure: '300 kbit/s: key → pixel, median', figure: '300kbit key median', unit: 'ms' },
  {
    measure: '300 kbit/s: scroll, longest behind',
    figure: '300kbit scroll behind',
    unit: 'ms',
    worst: true,
    target: atMost(1000),
  },
  {
    measure: '300 kbit/s: connections lost',
    figure: '300kbit breaks',
    unit: '',
    worst: true,
    target: atMost(0),
    alone: true,
  },

  { measure: '20 → 1 Mbit/s: age under 400 ms after', figure: 'drop age', unit: 's', target: atMost(3) },
  { measure: '1 → 20 Mbit/s: PSNR as before after', figure: 'rise quality', unit: 's', target: atMost(10) },
];

export function markdown(results: Results): string {
  const lines = ['| measure | Oriel | reference | ratio | target | |', '|---|--:|--:|--:|--:|---|'];
  for (const row of rows) {
    const read = (peer: 'Oriel' | 'reference', figure: string): Figure =>
      row.worst ? results.worst(peer, figure) : results.of(peer, figure);
    const oriel = read('Oriel', row.figure);
    const reference = row.alone ? undefined : read('reference', row.beside ?? row.figure);
    if (oriel === undefined) continue;
    const { target } = row;
    const met = target ? (target.met(oriel, reference) ? 'met' : '**not met**') : '';
    const ratio =
      reference !== undefined && reference > 0 && oriel >= 0 ? (oriel / reference).toFixed(2) : '';
    const cells = [
      row.measure,
      show(oriel, row.unit),
      show(reference, row.unit),
      ratio,
      target?.words ?? '',
      met,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

function show(value: Figure, unit: string): string {
  if (value === undefined) return '–';
  if (Number.isNaN(value) || value === Infinity) return 'never';
  const shown = unit.startsWith('kB') ? value / 1000 : value;
  const digits = Math.abs(shown) >= 100 ? 0 : Math.abs(shown) >= 10 ? 1 : 2;
  return `${shown.toFixed(digits).replace(/\.0+$/, '')} ${unit}`.trim();
}
