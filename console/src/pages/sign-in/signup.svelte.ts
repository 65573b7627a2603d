/** Whether anybody may make an account here, and the way there. */
import { api, take, type Schema } from '../../core/relay/api';

class SignUp {
  /** Undefined: not known yet. */
  open = $state<boolean>();

  /** Where it cannot be asked now, nothing is offered. */
  async look(): Promise<void> {
    try {
      this.open = (await take(api.GET('/api/v1/sign-up'))).open;
    } catch {
      this.open = false;
    }
  }

  /** Has a link sent, and says for how many minutes it is good. */
  async ask(email: string, organization: string): Promise<number> {
    return (await take(api.POST('/api/v1/sign-up', { body: { email, organization } }))).minutes;
  }

  read(token: string): Promise<Schema<'SigningUp'>> {
    return take(api.POST('/api/v1/sign-up/link', { body: { token } }));
  }
}

export const signUp = new SignUp();
