/** What a grant is bound to, in lines for people. */
import { DAYS, dayWords } from '../../i18n/access';
import { dateTime } from '../../i18n/format';
import { m } from '../../paraglide/messages.js';
import type { Grant, Hours } from './people.svelte';

const isDay = (text: string): text is (typeof DAYS)[number] => DAYS.some((day) => day === text);

/** Days that follow one another as a range: Mon–Fri. */
export function daysWords(days: readonly string[]): string {
  const numbers = days
    .filter(isDay)
    .map((day) => DAYS.indexOf(day))
    .sort((a, b) => a - b);
  const runs: number[][] = [];
  for (const n of numbers) {
    const run = runs.at(-1);
    if (run && run.at(-1) === n - 1) run.push(n);
    else runs.push([n]);
  }
  const word = (n: number | undefined) => dayWords(DAYS[n ?? 0] ?? 'mon');
  return runs
    .map((run) => (run.length < 3 ? run.map(word).join(', ') : `${word(run[0])}–${word(run.at(-1))}`))
    .join(', ');
}

export function hoursWords({ zone, windows }: Hours): string {
  const all = windows.map(({ days, from, to }) => `${daysWords(days ?? [])} ${from}–${to}`);
  return `${all.join('; ')} (${zone})`;
}

export function conditions({ hours, from, until, approval }: Grant): string[] {
  const time = (text: string) => dateTime(Date.parse(text));
  const all = [
    hours && hoursWords(hours),
    from && m.grant_from({ time: time(from) }),
    until && m.grant_until({ time: time(until) }),
    approval && m.grant_approval(),
  ].filter((line): line is string => typeof line === 'string');
  return all.length ? all : [m.grant_always()];
}
