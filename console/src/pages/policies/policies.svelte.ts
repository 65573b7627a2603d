/** The policies of the organization, its groups and computers: read by REST, and again after each change. */
import { api, take, type Schema } from '../../core/relay/api';

export type Settings = Schema<'PolicySettings'>;
export type SettingName = keyof Settings;
export type ObjectPolicy = Schema<'ObjectPolicy'>;
export type Kind = 'organization' | 'group' | 'computer';

/** What a policy is on; the organization has the id '-'. */
export interface Place {
  kind: Kind;
  id: string;
}

class Policies {
  /** That of the object that is looked at. */
  current = $state.raw<ObjectPolicy>();
  place: Place = { kind: 'organization', id: '-' };

  async load(place: Place): Promise<void> {
    this.place = place;
    this.current = undefined;
    const policy = await take(
      api.GET('/api/v1/policies/{object}/{id}', { params: { path: { object: place.kind, id: place.id } } }),
    );
    if (this.place === place) this.current = policy;
  }

  /** Replaces it; one that says nothing is removed. */
  async save(settings: Settings): Promise<void> {
    const { place } = this;
    const version = this.current?.version ?? 0;
    if (Object.keys(settings).length > 0) {
      const body = { version, settings };
      await api.PUT('/api/v1/policies/{object}/{id}', {
        params: { path: { object: place.kind, id: place.id } },
        body,
      });
    } else if (version > 0) {
      await api.DELETE('/api/v1/policies/{object}/{id}', {
        params: { path: { object: place.kind, id: place.id }, query: { version } },
      });
    }
    await this.load(place);
  }
}

export const policies = new Policies();
