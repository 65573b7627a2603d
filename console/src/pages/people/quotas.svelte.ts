/** How much the organization of this page has of what is counted, and may have. */
import { api, take, type Schema } from '../../core/relay/api';
import type { Quota } from './quotas';

export type Limits = Partial<Record<Quota, number>>;

class Quotas {
  /** Of kinds that the person may not see there is nothing. */
  mine = $state.raw<Schema<'Quotas'>>({});

  async load(): Promise<void> {
    this.mine = await take(api.GET('/api/v1/organization/quotas'));
  }

  /** Reads them for a warning beside something else, which goes on without it. */
  look(): void {
    this.load().catch(() => undefined);
  }

  async of(organization: string): Promise<Schema<'Quotas'>> {
    const params = { path: { id: organization } };
    return take(api.GET('/api/v1/organizations/{id}/quotas', { params }));
  }

  /** Replaces those of an organization: kinds without a number have no limit. */
  async set(organization: string, body: Limits): Promise<void> {
    const params = { path: { id: organization } };
    await api.PUT('/api/v1/organizations/{id}/quotas', { params, body });
    this.look();
  }
}

export const quotas = new Quotas();
