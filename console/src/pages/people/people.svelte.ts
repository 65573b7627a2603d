/** Members of the organization and what they may: read by REST, and again after each change. */
import { api, take, whole, type Schema } from '../../core/relay/api';

export type Invitation = Schema<'Invitation'>;
export type Member = Schema<'Member'>;
export type MemberDetails = Schema<'Details'>;
export type Role = Schema<'Role'>;
export type Team = Schema<'Team'>;
export type Group = Schema<'Group'>;
export type Grant = Schema<'Grant'>;
export type Computer = Schema<'Computer'>;
export type APIKey = Schema<'APIKey'>;
export type NewAPIKey = Schema<'NewAPIKey'>;
export type Approval = Schema<'Approval'>;
export type Reach = Schema<'Reach'>;
export type Hours = Schema<'Hours'>;
export type NewGrant = Schema<'NewGrantInBody'>;

class People {
  members = $state.raw<Member[]>();
  invitations = $state.raw<Invitation[]>([]);
  roles = $state.raw<Role[]>([]);
  teams = $state.raw<Team[]>();
  groups = $state.raw<Group[]>();
  grants = $state.raw<Grant[]>();
  computers = $state.raw<Computer[]>([]);
  keys = $state.raw<APIKey[]>();
  approvals = $state.raw<Approval[]>();

  /** Each group before those within it, by their names. */
  readonly tree = $derived.by(() => {
    const all = this.groups ?? [];
    const below = (parent: string): Group[] =>
      all
        .filter((one) => one.parent_id === parent)
        .sort((a, b) => a.name.localeCompare(b.name))
        .flatMap((one) => [one, ...below(one.id)]);
    return below('');
  });

  /** To choose from, those within others moved in; of those that somebody does not manage they see the names. */
  readonly groupChoices = $derived(
    this.tree.map(({ id, name, path, manages }) => ({
      value: id,
      label: `${'\u2003'.repeat(path.length - 1)}${name}`,
      disabled: !manages,
    })),
  );

  async loadMembers(): Promise<void> {
    const [members] = await Promise.all([
      whole((query) => take(api.GET('/api/v1/people', { params: { query } }))),
      this.loadRoles(),
      this.loadInvitations(),
    ]);
    this.members = members;
  }

  async loadInvitations(): Promise<void> {
    this.invitations = await whole((query) =>
      take(api.GET('/api/v1/member-invitations', { params: { query } })),
    );
  }

  /** The link to hand over; '' where it was sent by mail. */
  async invite(email: string, name: string, role: string): Promise<string> {
    const body = { email, role, ...(name && { name }) };
    const made = await take(api.POST('/api/v1/member-invitations', { body }));
    await this.loadInvitations();
    return made.link;
  }

  async revokeInvitation(id: string): Promise<void> {
    await api.DELETE('/api/v1/member-invitations/{id}', { params: { path: { id } } });
    this.invitations = this.invitations.filter((one) => one.id !== id);
  }

  async loadRoles(): Promise<void> {
    this.roles = await whole((query) => take(api.GET('/api/v1/roles', { params: { query } })));
  }

  async loadTeams(): Promise<void> {
    this.teams = await whole((query) => take(api.GET('/api/v1/teams', { params: { query } })));
  }

  async loadGroups(): Promise<void> {
    this.groups = await whole((query) => take(api.GET('/api/v1/groups', { params: { query } })));
  }

  async loadGrants(): Promise<void> {
    this.grants = await whole((query) => take(api.GET('/api/v1/grants', { params: { query } })));
  }

  async loadComputers(): Promise<void> {
    this.computers = await whole((query) => take(api.GET('/api/v1/computers', { params: { query } })));
  }

  async loadKeys(): Promise<void> {
    this.keys = await whole((query) => take(api.GET('/api/v1/api-keys', { params: { query } })));
  }

  async loadApprovals(): Promise<void> {
    this.approvals = await whole((query) => take(api.GET('/api/v1/approvals', { params: { query } })));
  }

  member(id: string): Promise<MemberDetails> {
    return take(api.GET('/api/v1/people/{id}', { params: { path: { id } } }));
  }

  /** A page of what each member may on a computer, by their names; next: where the one after it begins. */
  reaches(computer: string, cursor = ''): Promise<{ items: Reach[]; next: string }> {
    const query = { limit: 50, ...(cursor && { cursor }) };
    return take(api.GET('/api/v1/computers/{id}/access', { params: { path: { id: computer }, query } }));
  }

  /** A page of the computers that a member sees, by their names, with what they may there. */
  reached(person: string, words: string, cursor = ''): Promise<{ items: Reach[]; next: string }> {
    const query = { limit: 50, ...(words && { q: words }), ...(cursor && { cursor }) };
    return take(api.GET('/api/v1/people/{id}/computers', { params: { path: { id: person }, query } }));
  }

  /** What a member may on a computer, or on the whole organization. */
  reach(person: string, computer = ''): Promise<Reach> {
    const query = computer ? { computer } : {};
    return take(api.GET('/api/v1/people/{id}/access', { params: { path: { id: person }, query } }));
  }

  /** The grants that count for a member: their own, and those of their teams. */
  async grantsOf(person: string, teams: readonly { id: string }[]): Promise<Grant[]> {
    const read = (of: { person: string } | { team: string }) =>
      whole((query) => take(api.GET('/api/v1/grants', { params: { query: { ...query, ...of } } })));
    const all = await Promise.all([read({ person }), ...teams.map(({ id }) => read({ team: id }))]);
    return all.flat();
  }

  async update(id: string, body: { role?: string; state?: 'active' | 'inactive' }): Promise<void> {
    const params = { path: { id } };
    const changed = await take(api.PATCH('/api/v1/people/{id}', { params, body }));
    this.members = this.members?.map((one) => (one.id === id ? changed : one));
  }

  async remove(id: string): Promise<void> {
    await api.DELETE('/api/v1/people/{id}', { params: { path: { id } } });
    this.members = this.members?.filter((one) => one.id !== id);
  }

  async addService(name: string, role: string): Promise<void> {
    await api.POST('/api/v1/people', { body: { name, role } });
    await this.loadMembers();
  }

  async addIdentifier(id: string, kind: 'user_name' | 'number', text: string): Promise<void> {
    const params = { path: { id } };
    await api.POST('/api/v1/people/{id}/identifiers', { params, body: { kind, text } });
  }

  async removeIdentifier(id: string, kind: 'user_name' | 'number', key: string): Promise<void> {
    await api.DELETE('/api/v1/people/{id}/identifiers/{kind}/{key}', { params: { path: { id, kind, key } } });
  }

  async addTeam(name: string): Promise<void> {
    await api.POST('/api/v1/teams', { body: { name } });
    await this.loadTeams();
  }

  async renameTeam(id: string, name: string): Promise<void> {
    await api.PATCH('/api/v1/teams/{id}', { params: { path: { id } }, body: { name } });
    await this.loadTeams();
  }

  async removeTeam(id: string): Promise<void> {
    await api.DELETE('/api/v1/teams/{id}', { params: { path: { id } } });
    this.teams = this.teams?.filter((one) => one.id !== id);
  }

  teamMembers(id: string): Promise<Member[]> {
    return whole((query) => take(api.GET('/api/v1/teams/{id}/members', { params: { path: { id }, query } })));
  }

  async setTeam(id: string, person: string, isIn: boolean): Promise<void> {
    const params = { path: { id, person } };
    if (isIn) await api.PUT('/api/v1/teams/{id}/members/{person}', { params });
    else await api.DELETE('/api/v1/teams/{id}/members/{person}', { params });
    await this.loadTeams();
  }

  async saveRole(id: string, name: string, permissions: string[]): Promise<void> {
    const body = { name, permissions };
    if (id) await api.PATCH('/api/v1/roles/{id}', { params: { path: { id } }, body });
    else await api.POST('/api/v1/roles', { body });
    await this.loadRoles();
  }

  async removeRole(id: string): Promise<void> {
    await api.DELETE('/api/v1/roles/{id}', { params: { path: { id } } });
    await this.loadRoles();
  }

  async addGrant(body: NewGrant): Promise<void> {
    await api.POST('/api/v1/grants', { body });
    await this.loadGrants();
  }

  async revokeGrant(id: string): Promise<void> {
    await api.DELETE('/api/v1/grants/{id}', { params: { path: { id } } });
    this.grants = this.grants?.filter((one) => one.id !== id);
  }

  async addGroup(name: string, parent: string): Promise<void> {
    await api.POST('/api/v1/groups', { body: { name, parent_id: parent } });
    await this.loadGroups();
  }

  async saveGroup(id: string, body: { name?: string; parent_id?: string }): Promise<void> {
    await api.PATCH('/api/v1/groups/{id}', { params: { path: { id } }, body });
    await this.loadGroups();
  }

  async removeGroup(id: string): Promise<void> {
    await api.DELETE('/api/v1/groups/{id}', { params: { path: { id } } });
    await this.loadGroups();
  }

  groupOf(computer: string): Promise<Schema<'ComputerGroup'>> {
    return take(api.GET('/api/v1/computers/{id}/group', { params: { path: { id: computer } } }));
  }

  async moveComputer(computer: string, group: string): Promise<void> {
    const params = { path: { id: computer } };
    await api.PUT('/api/v1/computers/{id}/group', { params, body: { group_id: group } });
  }

  /** Its text is in the answer and never again. */
  async addKey(person: string, name: string, permissions: string[], hours: number): Promise<NewAPIKey> {
    const body = { person, name, permissions, expires_in_hours: hours };
    const made = await take(api.POST('/api/v1/api-keys', { body }));
    await this.loadKeys();
    return made;
  }

  async revokeKey(id: string): Promise<void> {
    await api.DELETE('/api/v1/api-keys/{id}', { params: { path: { id } } });
    this.keys = this.keys?.filter((one) => one.id !== id);
  }

  async decide(id: string, approve: boolean, minutes: number): Promise<void> {
    const params = { path: { id } };
    if (approve) await api.POST('/api/v1/approvals/{id}/approve', { params, body: { minutes } });
    else await api.POST('/api/v1/approvals/{id}/refuse', { params });
    this.approvals = this.approvals?.filter((one) => one.id !== id);
  }
}

export const people = new People();
