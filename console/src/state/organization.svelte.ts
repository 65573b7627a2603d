/** The organization that the person of this page is in, theirs, and all of the relay. */
import { api, take, whole, type Schema } from '../core/relay/api';
import { account } from './account.svelte';

export type Organization = Schema<'Organization'>;
export type Membership = Schema<'Membership'>;

class Organizations {
  mine = $state.raw<Organization>();
  memberships = $state.raw<Membership[]>([]);
  all = $state.raw<Organization[]>([]);

  async load(): Promise<void> {
    this.mine = await take(api.GET('/api/v1/organization'));
  }

  async loadMemberships(): Promise<void> {
    this.memberships = await whole((query) =>
      take(api.GET('/api/v1/me/organizations', { params: { query } })),
    );
  }

  async loadAll(): Promise<void> {
    this.all = await whole((query) => take(api.GET('/api/v1/organizations', { params: { query } })));
  }

  async rename(name: string, code: string): Promise<void> {
    this.mine = await take(api.PATCH('/api/v1/organization', { body: { name, code } }));
    await account.reload();
  }

  async create(name: string, code: string): Promise<void> {
    await api.POST('/api/v1/organizations', { body: { name, code } });
    await Promise.all([this.loadAll(), this.loadMemberships()]);
  }
}

export const organization = new Organizations();
