/** Who is signed in, and the live connection that belongs to it. */
import type { Handover } from '../core/boot/handover';
import { announceFrom } from '../core/boot/announce';
import { api, ApiError, signedIn, take, type Person, type Schema, type SignedIn } from '../core/relay/api';
import { offerHandoff } from '../core/relay/handoff';
import { Live, type LiveOptions, type LiveState } from '../core/relay/live';
import { liveUrl } from '../core/relay/url';
import { viewedComputer } from '../routes';
import type { Failing, SignOutReason } from '../core/wire/oriel/v1/live_pb';

class Account {
  person = $state<Person>();
  status = $state<'unknown' | 'out' | 'in'>('unknown');
  /** They were signed in on this page, and are not any more though they did not ask for that. */
  ended = $state(false);
  /** Why, where the relay said so. */
  why = $state<SignOutReason>(0);
  connection = $state<LiveState>('connecting');
  live = $state.raw<Live>();
  /** What the relay lacks, told to who operates it. */
  lacks = $state.raw<Failing[]>([]);

  constructor() {
    announceFrom(() => this.live, viewedComputer); // before the socket is handed off
    offerHandoff(() => this.live);
  }

  /**
   * Asks the relay; the error is left to the caller, who asks again, when it or its database is away.
   * The live connection is begun beside the question, and there at once: whoever
   * opens a page is mostly signed in, and waits for one round trip less. It may have been begun before the page.
   */
  async load(handover: Handover): Promise<void> {
    if (!this.live) this.#connect(handover.takeLive() ?? newLive(handover.takeSocket()));
    try {
      const person = await take(api.GET('/api/v1/me'));
      if (this.live) this.#enter(person); // not signed out meanwhile
    } catch (error) {
      // Else the live connection goes on trying as well, and so does a session of this page.
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.#leave();
    }
  }

  /** The organization is a code, where a login is somebody's in several; '' where not. */
  async signIn(login: string, password: string, organization = ''): Promise<void> {
    const body = { login, password, ...(organization && { organization }) };
    await this.#kept(await take(api.POST('/api/v1/sign-in', { body })));
  }

  /** Makes the relay's first account with the token of its one-time link, and names its organization. */
  async makeOwner(body: Schema<'OwnerInBody'>): Promise<void> {
    await this.#kept(await take(api.POST('/api/v1/owner', { body })));
  }

  /** Makes the account that the link of who signs up is for. */
  async signUp(token: string, name: string, password: string): Promise<void> {
    await this.#kept(await take(api.POST('/api/v1/sign-up/account', { body: { token, name, password } })));
    location.assign('/');
  }

  /** Takes up an invitation as somebody new. */
  async join(token: string, name: string, password: string): Promise<void> {
    await this.#kept(await take(api.POST('/api/v1/join', { body: { token, name, password } })));
    location.assign('/');
  }

  /** Takes up an invitation as who is signed in, who is then in that organization. */
  async joinAs(token: string): Promise<void> {
    await api.POST('/api/v1/me/organizations', { body: { token } });
    location.assign('/');
  }

  /** Sets the owner's password anew with the token of a recovery link. */
  async recover(token: string, password: string): Promise<void> {
    await this.#kept(await take(api.POST('/api/v1/recover', { body: { token, password } })));
  }

  /** Whether to offer what needs that permission on the whole organization; the relay decides. */
  may(permission: string): boolean {
    return this.person?.permissions.includes(permission) ?? false;
  }

  /** Reads anew who is signed in, after their name, role or organization changed. */
  async reload(): Promise<void> {
    this.person = await take(api.GET('/api/v1/me'));
  }

  /** Has this browser be in another organization: everything on its pages is another's. */
  async enter(organization: string): Promise<void> {
    await api.POST('/api/v1/me/organization', { body: { id: organization } });
    location.assign('/');
  }

  async signOut(): Promise<void> {
    await api.POST('/api/v1/sign-out');
    this.#leave();
  }

  /**
   * Enters when the browser kept the sign-in: one that opened an https relay by
   * http drops its cookie without a word, and would be back at the sign-in page.
   */
  async #kept(said: SignedIn): Promise<void> {
    let person: Person;
    try {
      person = await take(api.GET('/api/v1/me'));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      throw new ApiError(401, 'cookie_refused', said.public_url);
    }
    this.#connect(newLive());
    this.#enter(person);
  }

  #enter(person: Person): void {
    this.person = person;
    this.ended = false;
    this.why = 0;
    this.status = 'in';
  }

  #connect(live: Live): void {
    this.#disconnect();
    this.live = live;
    this.connection = live.state;
    live.on('signedOut', ({ reason }) => (this.why = reason));
    live.on('relayHealth', ({ failing }) => (this.lacks = failing));
    live.on('state', (state) => {
      this.connection = state;
      if (state !== 'open') this.lacks = []; // another node may answer
      if (state === 'signed-out') {
        this.ended = this.status === 'in';
        this.#leave();
      }
    });
  }

  #disconnect(): void {
    this.lacks = [];
    this.live?.close();
    this.live = undefined;
  }

  #leave(): void {
    this.#disconnect();
    this.person = undefined;
    this.status = 'out';
  }
}

const newLive = (options: LiveOptions = {}) => new Live(liveUrl(), { signedIn, ...options });

export const account = new Account();
