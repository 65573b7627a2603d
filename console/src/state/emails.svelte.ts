/** The e-mail addresses of who is signed in, and those that wait for their links. */
import { api, take, whole, type Schema } from '../core/relay/api';

export type EmailAddress = Schema<'EmailAddress'>;

class Emails {
  all = $state.raw<EmailAddress[]>();
  /** Of a link that was opened before its person signed in. In memory alone. */
  token = '';

  async load(): Promise<void> {
    this.all = await whole((query) => take(api.GET('/api/v1/me/email-addresses', { params: { query } })));
  }

  /** Adds one, or sends its link once more; says for how many minutes that is good. */
  async ask(email: string): Promise<number> {
    const { minutes } = await take(api.POST('/api/v1/me/email-addresses', { body: { email } }));
    await this.load();
    return minutes;
  }

  /** Removes a confirmed one, or takes back one that waits. */
  async remove(id: string): Promise<void> {
    await api.DELETE('/api/v1/me/email-addresses/{id}', { params: { path: { id } } });
    await this.load();
  }

  /** The address that is confirmed by the link with that token. */
  async confirm(token: string): Promise<string> {
    return (await take(api.POST('/api/v1/me/email-addresses/confirm', { body: { token } }))).email;
  }
}

export const emails = new Emails();
