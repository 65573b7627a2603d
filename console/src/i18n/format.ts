/** Numbers, sizes and times as people of the chosen language write them. */
import { getLocale } from '../paraglide/runtime.js';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

export function bytes(count: number, base = 1000): string {
  const power = count < base ? 0 : Math.min(Math.floor(Math.log(count) / Math.log(base)), UNITS.length - 1);
  const value = count / base ** power;
  return new Intl.NumberFormat(getLocale(), {
    style: 'unit',
    unit: UNITS[power] ?? 'byte',
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 && power > 0 ? 1 : 0,
  }).format(value);
}

/** Memory and disks as operating systems count them, in powers of 1024. */
export const memory = (count: number) => bytes(count, 1024);

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(getLocale(), { maximumFractionDigits: digits }).format(value);
}

export function unit(value: number, name: 'millisecond' | 'percent', digits = 0): string {
  return new Intl.NumberFormat(getLocale(), {
    style: 'unit',
    unit: name,
    unitDisplay: 'short',
    maximumFractionDigits: digits,
  }).format(value);
}

const STEPS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
  ['year', Infinity],
] as const;

/** '3 minutes ago'; what is less than a minute ago is 'now'. */
export function ago(at: number, now: number): string {
  let value = Math.min(at - now, 0) / 1000;
  const format = new Intl.RelativeTimeFormat(getLocale(), { numeric: 'auto' });
  if (value > -60) return format.format(0, 'second');
  for (const [name, size] of STEPS) {
    if (Math.abs(value) < size) return format.format(Math.round(value), name);
    value /= size;
  }
  return '';
}

export function dateTime(at: number): string {
  return new Intl.DateTimeFormat(getLocale(), { dateStyle: 'medium', timeStyle: 'short' }).format(at);
}

/** '1:02:03' or '2:03'. */
export function duration(ms: number): string {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((p, i) => (i === 0 ? String(p) : String(p).padStart(2, '0'))).join(':');
}
