/** An organization with something of everything in it, made through the API as its owner. */
import type { Client } from './client.ts';

const password = 'a password of somebody';

/** The token of an invitation that nobody has taken up. */
export async function fillOrganization(owner: Client, computer: string): Promise<string> {
  const make = async (path: string, body: object): Promise<string> =>
    (await owner.send('POST', path, body)).id;
  const robot = await make('/people', { name: 'Nightly report', role: 'viewer' });
  await make('/people', { name: 'Inventory of the warehouse in the harbour', role: 'member' });
  const grace = await owner.member({
    name: 'Grace Hopper',
    email: 'grace@example.org',
    role: 'member',
    password,
  });
  const names = [
    ['user_name', 'grace.hopper'],
    ['number', '123.456.789-09'],
  ] as const;
  for (const [kind, text] of names) await make(`/people/${grace.id}/identifiers`, { kind, text });
  const invited = {
    name: 'Alan Turing',
    email: 'alan@a-long-name-of-a-company.example.org',
    role: 'operator',
  };
  const { link } = await owner.send<{ link: string }>('POST', '/member-invitations', invited);

  const support = await make('/teams', { name: 'Support' });
  for (const id of [robot, grace.id]) await owner.send('PUT', `/teams/${support}/members/${id}`);
  await make('/teams', { name: 'Night shift' });

  const permissions = ['see', 'connect', 'control', 'files.read'];
  const role = await make('/roles', { name: 'Helper', permissions });

  const works = await make('/groups', { name: 'Munich works' });
  const hall = await make('/groups', { name: 'Hall 2', parent_id: works });
  await make('/groups', { name: 'Offices' });
  await owner.send('PUT', `/computers/${computer}/group`, { group_id: hall });

  const at = (kind: string, id: string) => ({ kind, id });
  const week = { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00' };
  await make('/grants', {
    subject: at('team', support),
    role: 'operator',
    object: at('group', hall),
    hours: { zone: 'Europe/Berlin', windows: [week] },
    until: '2030-12-31T17:00:00Z',
    approval: true,
  });
  await make('/grants', { subject: at('person', robot), role, object: at('computer', computer) });
  await make('/grants', { subject: at('team', support), role: 'viewer', object: { kind: 'organization' } });
  const asked = { role: 'operator', object: at('computer', computer), approval: true };
  const eve = await owner.member({ name: 'Eve Adams', email: 'eve@example.org', role: 'member', password });
  await make('/grants', { subject: at('person', eve.id), ...asked });
  await eve.client.send('POST', '/approvals', { computer, reason: 'The printer of the front desk is stuck' });

  const key = { person: robot, name: 'report of the night', permissions: ['see', 'connect'] };
  await make('/api-keys', key);
  await make('/me/api-keys', { name: 'backup script', permissions: ['see', 'connect'] });
  await make('/organizations', { name: 'Acme Tools', code: 'acme' });
  const { id } = await owner.send<{ id: string }>('GET', '/organization');
  const limits = { computers: 1, people: 6, invitations: 1, storage: 500e6 };
  await owner.send('PUT', `/organizations/${id}/quotas`, limits);
  return new URL(link).hash.slice(1);
}
