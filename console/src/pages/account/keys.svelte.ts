/** The API keys of the person of this page, in the organization that they are in. */
import { api, take, whole, type Schema } from '../../core/relay/api';

export type APIKey = Schema<'APIKey'>;

class OwnKeys {
  all = $state.raw<APIKey[]>();

  async load(): Promise<void> {
    this.all = await whole((query) => take(api.GET('/api/v1/me/api-keys', { params: { query } })));
  }

  /** The new key's text, which is told this once. */
  async add(name: string, permissions: string[]): Promise<string> {
    const made = await take(
      api.POST('/api/v1/me/api-keys', { body: { name, permissions, expires_in_hours: 2160 } }),
    );
    await this.load();
    return made.key;
  }

  async revoke(id: string): Promise<void> {
    await api.DELETE('/api/v1/me/api-keys/{id}', { params: { path: { id } } });
    this.all = this.all?.filter((one) => one.id !== id);
  }
}

export const ownKeys = new OwnKeys();
