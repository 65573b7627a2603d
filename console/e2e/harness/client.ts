/** Somebody who is signed in, or a program with a key, on the API and without a browser. */
export class Client {
  private cookies = new Map<string, string>();

  constructor(
    readonly url: string,
    private key = '',
  ) {}

  /** Asks, and gives the answer as it came. */
  async ask(method: string, path: string, body?: object): Promise<Response> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(body && { 'Content-Type': 'application/json' }),
        ...(this.cookies.size && { Cookie: [...this.cookies].map((pair) => pair.join('=')).join('; ') }),
        ...(this.key && { Authorization: `Bearer ${this.key}` }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = set.match(/^([^=]+)=([^;]*)/) ?? [];
      this.cookies.set(name, value);
    }
    return answer;
  }

  /** Asks for what is not refused, and gives what was answered. */
  async send<Answer = { id: string }>(method: string, path: string, body?: object): Promise<Answer> {
    const answer = await this.ask(method, path, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text ? JSON.parse(text) : {}) as Answer;
  }

  static async signedIn(url: string, login: string, password: string): Promise<Client> {
    const client = new Client(url);
    await client.send('POST', '/sign-in', { login, password });
    return client;
  }

  /**
   * Invites somebody, who takes it up at once. The link is in the answer, or in their mail where
   * the relay sends one.
   */
  async member(who: Invited, mailed?: (email: string) => Promise<string>): Promise<Member> {
    const { name, email, role, password } = who;
    const made = await this.send<{ link: string }>('POST', '/member-invitations', { email, name, role });
    const token = new URL(made.link || ((await mailed?.(email)) ?? '')).hash.slice(1);
    const client = new Client(this.url);
    await client.send('POST', '/join', { token, name, password });
    const { id } = await client.send('GET', '/me');
    return { ...who, id, client };
  }
}

export interface Invited {
  name: string;
  email: string;
  role: string;
  password: string;
}

export interface Member extends Invited {
  id: string;
  client: Client;
}
