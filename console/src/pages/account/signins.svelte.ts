/** Where the person of this page is signed in, and their password. */
import { api, take, whole, type SignIn } from '../../core/relay/api';

class SignIns {
  all = $state.raw<SignIn[]>();

  async load(): Promise<void> {
    this.all = await whole((query) => take(api.GET('/api/v1/sign-ins', { params: { query } })));
  }

  async end(id: string): Promise<void> {
    await api.DELETE('/api/v1/sign-ins/{id}', { params: { path: { id } } });
    this.all = this.all?.filter((one) => one.id !== id);
  }

  /** Ends all other sign-ins as well. */
  async changePassword(current: string, password: string): Promise<void> {
    await api.POST('/api/v1/password', { body: { current, password } });
    await this.load();
  }
}

export const signIns = new SignIns();
