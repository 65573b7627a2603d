/** What holds for the whole relay, for who operates it. */
import { api, take, type Schema } from '../core/relay/api';

class Relay {
  settings = $state.raw<Schema<'RelaySettings'>>();

  async load(): Promise<void> {
    this.settings = await take(api.GET('/api/v1/relay/settings'));
  }

  /** Changes both, and says the domains as the relay has them. */
  async change(signUp: boolean, domains: string[]): Promise<string[]> {
    const body = { sign_up: signUp, staff_domains: domains };
    this.settings = await take(api.PATCH('/api/v1/relay/settings', { body }));
    return this.settings.staff_domains;
  }
}

export const relay = new Relay();
