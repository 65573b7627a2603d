/** What an invitation's link says. */
import { api, take, type Schema } from '../../core/relay/api';

class Invitation {
  said = $state.raw<Schema<'Invited'>>();

  async read(token: string): Promise<Schema<'Invited'>> {
    this.said = await take(api.POST('/api/v1/join/invitation', { body: { token } }));
    return this.said;
  }
}

export const invitation = new Invitation();
