/** What those of whom the audit tells are called today, as far as this person may see it. */
import { line } from '../../core/sanitize';
import type { Names } from '../../i18n/audit';
import { account } from '../../state/account.svelte';
import { computers } from '../../state/computers.svelte';
import { people } from '../people/people.svelte';
import type { Entry } from './audit.svelte';

/** Reads the names of people, teams and groups; who may not see those is shown ids. */
export async function loadNames(): Promise<void> {
  await Promise.all([
    ...(account.may('people.manage') ? [people.loadMembers(), people.loadTeams()] : []),
    ...(account.may('groups.manage') ? [people.loadGroups()] : []),
  ]);
}

/** Names of today, else those that the entries themselves have. */
export function namesOf(entries: readonly Entry[]): Names {
  const told = new Map<string, string>();
  for (const { actor_id, actor_name, object_id, details } of [...entries].reverse()) {
    if (actor_id && actor_name) told.set(actor_id, actor_name);
    const name = details['name'] ?? details['host_name'];
    if (object_id && name) told.set(object_id, name);
  }
  const today = (kind: string, id: string): string | undefined => {
    const same = (one: { id: string }) => one.id === id;
    switch (kind) {
      case 'person':
        return people.members?.find(same)?.name;
      case 'computer':
        return computers.byId.get(id)?.name;
      case 'team':
        return people.teams?.find(same)?.name;
      case 'group':
        return people.groups?.find(same)?.name;
      case 'role':
        return people.roles.find(same)?.name;
      case 'organization':
        return account.person?.organization.id === id ? account.person.organization.name : undefined;
      default:
        return undefined;
    }
  };
  const of = (kind: string, id: string) => {
    const name = today(kind, id) || told.get(id);
    return name && line(name);
  };
  return { of, roles: people.roles };
}
