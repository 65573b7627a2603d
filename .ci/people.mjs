// The organization of `make run`: three people, two groups with a computer in each, a
// team, a role and two grants, made once, through the product's own API.
//
// data/people.json (0600) has the password of all three, which is drawn for this
// folder, and whether all is made. What was begun is gone on with; what was finished is
// left as it is, so that what somebody changed or removed stays so.
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const people = [
  ['Ada', 'ada@example.com', 'owns the organization: she sees and may do everything'],
  ['Ben', 'ben@example.com', 'operates the computers of the group Office, and sees no other'],
  ['Cleo', 'cleo@example.com', 'watches all computers, and controls those of the group Workshop'],
];

// password of 16 letters, which are easy to read and type: 73 bits.
function password() {
  const letters = 'abcdefghijkmnpqrstuvwxyz';
  return Array.from({ length: 4 }, () => Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join('')).join('-');
}

// People makes them in the relay at url, and keeps what it has to in a file.
export class People {
  #url;
  #file;
  #kept;
  #ada = ''; // her cookie

  constructor(url, file) {
    this.#url = url;
    this.#file = file;
    this.#kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
  }

  // owner makes the first of them by the link that makes a relay's owner; '': it has one
  // already. A relay with an owner of somebody's own gets no people.
  async owner(link) {
    if (this.#kept?.made || (!this.#kept && !link)) return;
    this.#kept ??= { password: password() };
    this.#keep();
    const [name, email] = people[0];
    const secret = { password: this.#kept.password };
    if (link) await this.#ask('POST', '/owner', { token: fragment(link), name, email, ...secret });
    else await this.#ask('POST', '/sign-in', { login: email, ...secret });
  }

  // rest makes the others, and everything around the computers, which are [id, name, group].
  async rest(computers) {
    if (!this.#kept || this.#kept.made) return;
    await this.#ask('PATCH', '/organization', { name: 'Example Works' });
    const groups = {};
    for (const [id, name, group] of computers) {
      groups[group] = await this.#once('/groups', { name: group });
      await this.#ask('PATCH', `/computers/${id}`, { name });
      await this.#ask('PUT', `/computers/${id}/group`, { group_id: groups[group] });
    }
    const ben = await this.#join(people[1], 'member');
    const cleo = await this.#join(people[2], 'viewer');
    const role = await this.#once('/roles', { name: 'Apprentice', permissions: ['see', 'connect', 'control'] });
    const team = await this.#once('/teams', { name: 'Apprentices' });
    await this.#ask('PUT', `/teams/${team}/members/${cleo}`, undefined, [409]);
    await this.#grant({ kind: 'person', id: ben }, 'operator', groups.Office);
    await this.#grant({ kind: 'team', id: team }, role, groups.Workshop);
    this.#kept.made = true;
    this.#keep();
  }

  // said is how to sign in as each of them; empty where they are not here.
  get said() {
    if (!this.#kept) return '';
    const lines = people.map(([name, email, does]) => `    ${email.padEnd(18)} ${name} ${does}`);
    return `  Sign in there as each of three people, with the password   ${this.#kept.password}\n\n${lines.join('\n')}\n`;
  }

  #keep() {
    writeFileSync(this.#file, JSON.stringify(this.#kept), { mode: 0o600 });
  }

  // once makes a thing that has no such name yet, and returns its id.
  async #once(path, thing) {
    return (await this.#named(path, thing.name)) ?? (await this.#ask('POST', path, thing)).id;
  }

  async #named(path, name) {
    return (await this.#ask('GET', path)).items.find((one) => one.name === name)?.id;
  }

  // join invites somebody and accepts the invitation in their place.
  async #join([name, email], role) {
    const there = await this.#named('/people', name);
    if (there) return there;
    const { link } = await this.#ask('POST', '/member-invitations', { email, name, role });
    await this.#ask('POST', '/join', { token: fragment(link), name, password: this.#kept.password });
    return this.#named('/people', name);
  }

  async #grant(subject, role, group) {
    const there = (await this.#ask('GET', '/grants')).items.some((one) => one.subject.id === subject.id);
    if (!there) await this.#ask('POST', '/grants', { subject, role, object: { kind: 'group', id: group } });
  }

  // ask the API as Ada, once she is signed in; her cookie is the first that it gives.
  async #ask(method, path, body, fine = []) {
    const headers = { ...(body && { 'Content-Type': 'application/json' }), ...(this.#ada && { Cookie: this.#ada }) };
    const answer = await fetch(`${this.#url}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok && !fine.includes(answer.status)) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    this.#ada ||= answer.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');
    return text ? JSON.parse(text) : {};
  }
}

const fragment = (link) => new URL(link).hash.slice(1);
