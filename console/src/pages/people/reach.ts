/** What a member may on computers and why, in words: apart from i18n/, all of which the first page loads. */
import { PERMISSIONS, permissionWords, reasonWhy, roleNamed } from '../../i18n/access';
import { dateTime } from '../../i18n/format';
import { m } from '../../paraglide/messages.js';
import type { Reach } from './people.svelte';

type Source = Pick<Reach['by'][number], 'role' | 'role_name' | 'team' | 'on'>;

/** What a grant is on, within a sentence. */
export function onWords({ kind, name = '' }: { kind: string; name?: string }): string {
  if (kind === 'group') return m.reach_on_group({ name });
  return kind === 'computer' ? m.reach_on_computer({ name }) : m.reach_on_organization();
}

function sourceWords({ role: id, role_name, team, on }: Source): string {
  const role = roleNamed(id, role_name);
  if (!on) return m.reach_by_member({ role });
  if (team) return m.reach_by_team({ role, team: team.name ?? '', on: onWords(on) });
  return m.reach_by_grant({ role, on: onWords(on) });
}

const onComputers = Object.keys(PERMISSIONS.computers);

/** Those about computers, in the order in which people read them. */
const aboutComputers = (words: readonly string[]) => onComputers.filter((one) => words.includes(one));

function listWords(permissions: readonly string[]): string {
  if (permissions.length === onComputers.length) return m.reach_all();
  return permissions.map((one) => permissionWords.get(one)?.() ?? one).join(' · ') || m.reach_nothing();
}

/** What a member may on computers, what gives it, and what is in the way of the rest. */
export function reachWords(reach: Reach): { may: string; why: string[] } {
  const allowed = aboutComputers(reach.allowed);
  const by = reach.by.filter((one) => aboutComputers(one.permissions).length > 0).map(sourceWords);
  const missing = reach.missing.map((one) => ({ ...one, lacks: aboutComputers(one.permissions) }));
  const told = missing.filter(({ lacks, reason }) => lacks.length > 0 && reason !== 'no_grant');
  const why = told.map(({ lacks, reason, from, ...source }) => {
    const words = { what: listWords(lacks), why: reasonWhy(reason) };
    const line = from
      ? m.reach_missing_from({ ...words, time: dateTime(Date.parse(from)) })
      : m.reach_missing(words);
    return source.grant ? `${line} (${sourceWords(source)})` : line;
  });
  if (allowed.length === 0 && why.length === 0) why.push(reasonWhy('no_grant'));
  return { may: listWords(allowed), why: [...by, ...why] };
}
