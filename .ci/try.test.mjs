// Tests of `make run` itself: node --test .ci/try.test.mjs, after make build.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const script = new URL('try.mjs', import.meta.url).pathname;
const folders = [];
const running = new Set();

after(async () => {
  for (const one of running) {
    one.child.kill('SIGTERM');
    await one.ended;
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'oriel-try-'));
  folders.push(path);
  return path;
}

// begin starts it and waits until it says that everything runs.
async function begin(data, env = {}) {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, ORIEL_DATA: data, ORIEL_PORT: '18080', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const one = { child, said: '' };
  one.ended = new Promise((done) => child.once('exit', (code) => done(code)));
  running.add(one);
  void one.ended.then(() => running.delete(one));
  await new Promise((ready, failed) => {
    const hear = (text) => {
      one.said += text;
      if (/Ctrl-C stops it all/.test(one.said)) ready();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void one.ended.then(() => failed(new Error(`it ended: ${one.said}`)));
    AbortSignal.timeout(90_000).addEventListener('abort', () => failed(new Error(`it does not start: ${one.said}`)));
  });
  one.url = /Oriel runs at\s+(\S+)/.exec(one.said)?.[1];
  one.password = /with the password\s+(\S+)/.exec(one.said)?.[1];
  return one;
}

// left are the processes that were started with this data folder.
function left(data) {
  const list = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`ORIEL_DATA=${data}`)) continue;
      list.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      // gone, or another user's
    }
  }
  return list.filter((line) => line !== '');
}

async function call(one, method, path, body, cookie) {
  const answer = await fetch(one.url + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...(cookie && { Cookie: cookie }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, cookie: answer.headers.get('set-cookie')?.split(';')[0], body: await answer.json().catch(() => null) };
}

// signIn is the cookie of one of the people, as the printed words say.
async function signIn(one, login) {
  assert.match(one.said, new RegExp(`${login}@example\\.com`));
  const signed = await call(one, 'POST', '/api/v1/sign-in', { login: `${login}@example.com`, password: one.password });
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  return signed.cookie;
}

// list is what the API shows somebody of one kind of thing.
async function list(one, cookie, path) {
  const answer = await call(one, 'GET', `/api/v1${path}`, null, cookie);
  assert.equal(answer.status, 200, `${path}: ${JSON.stringify(answer.body)}`);
  return answer.body.items;
}

const names = (items) => items.map((item) => item.name).sort();

// Rule: `make run` shows an organization: three people who sign in as it prints, two groups with a computer each, a team, a
// role and grants, and each of the three sees and may what the words beside them say.
async function organization(one) {
  const [ada, ben, cleo] = [await signIn(one, 'ada'), await signIn(one, 'ben'), await signIn(one, 'cleo')];
  const computers = await list(one, ada, '/computers');
  assert.deepEqual(names(computers), ['Front desk', 'Lathe']);
  assert.deepEqual(computers.map((c) => c.same_machine_as ?? ''), ['', ''], 'none is marked as enrolled twice');
  assert.deepEqual(names(await list(one, ben, '/computers')), ['Front desk']);
  assert.deepEqual(names(await list(one, cleo, '/computers')), ['Front desk', 'Lathe']);
  const groups = await list(one, ada, '/groups');
  assert.deepEqual(names(groups), ['Office', 'Workshop']);
  assert.deepEqual(groups.map((g) => g.computers), [1, 1]);
  const people = await list(one, ada, '/people');
  assert.deepEqual(people.map((p) => [p.name, p.role]).sort(), [['Ada', 'owner'], ['Ben', 'member'], ['Cleo', 'viewer']]);
  assert.deepEqual(names(await list(one, ada, '/roles')).filter((name) => name === 'Apprentice'), ['Apprentice']);
  assert.deepEqual((await list(one, ada, '/teams')).map((t) => [t.name, t.members]), [['Apprentices', 1]]);
  assert.deepEqual((await list(one, ada, '/grants')).map((g) => [g.subject.name, g.object.name]).sort(), [['Apprentices', 'Workshop'], ['Ben', 'Office']]);
  assert.deepEqual(names(await list(one, ada, '/me/organizations')), ['Example Works']);

  const may = async (who, computer, what) => {
    const person = people.find((p) => p.name === who).id;
    const { id } = computers.find((c) => c.name === computer);
    const why = await call(one, 'GET', `/api/v1/people/${person}/access?computer=${id}`, null, ada);
    assert.equal(why.status, 200, JSON.stringify(why.body));
    return why.body.allowed.includes(what);
  };
  assert.ok(await may('Ben', 'Front desk', 'control'));
  assert.ok(!(await may('Ben', 'Lathe', 'see')));
  assert.ok(await may('Cleo', 'Front desk', 'connect'));
  assert.ok(!(await may('Cleo', 'Front desk', 'control')));
  assert.ok(await may('Cleo', 'Lathe', 'control'));
  return { ada, ids: computers.map((c) => c.id).sort() };
}

test('an organization and a screen to control, stopped without a trace, started again with the same data', async () => {
  const data = folder();
  const first = await begin(data);
  assert.ok(left(data).some((line) => line.includes('Xvfb')), 'there is a real display');
  const before = await organization(first);
  const kept = join(data, 'people.json');
  assert.equal(statSync(kept).mode & 0o777, 0o600);

  first.child.kill('SIGINT');
  assert.equal(await first.ended, 0, first.said);
  assert.deepEqual(left(data), []);
  await assert.rejects(fetch(first.url));

  // As if it had been stopped before all was made: what is there is made no second time.
  writeFileSync(kept, JSON.stringify({ password: first.password }));
  const second = await begin(data);
  assert.equal(second.password, first.password);
  const since = await organization(second);
  assert.deepEqual(since.ids, before.ids, 'the same computers');
  const [group] = await list(second, since.ada, '/groups');
  assert.equal((await call(second, 'PATCH', `/api/v1/groups/${group.id}`, { name: 'Renamed' }, since.ada)).status, 200);
  second.child.kill('SIGTERM');
  assert.equal(await second.ended, 0, second.said);
  assert.deepEqual(left(data), []);

  const third = await begin(data);
  assert.ok(names(await list(third, await signIn(third, 'ada'), '/groups')).includes('Renamed'), 'what was changed stays changed');
  assert.equal((await list(third, await signIn(third, 'ada'), '/groups')).length, 2);
  third.child.kill('SIGTERM');
  assert.equal(await third.ended, 0, third.said);
});

test('a taken port, and no display to be had', async () => {
  const taken = createServer().listen(18080, '127.0.0.1');
  await new Promise((ready) => taken.once('listening', ready));
  try {
    const data = folder();
    const path = folder(); // with node alone in it
    symlinkSync(process.execPath, join(path, 'node'));
    const one = await begin(data, { PATH: path });
    assert.notEqual(new URL(one.url).port, '18080');
    assert.match(one.said, /no Xvfb.*draws its own screen/);
    assert.ok(left(data).some((line) => line.includes('oriel-agent run') && line.includes('--demo')));
    one.child.kill('SIGTERM');
    assert.equal(await one.ended, 0, one.said);
    assert.deepEqual(left(data), []);
  } finally {
    taken.close();
  }
});

test('a relay that dies ends it all, and says so', async () => {
  const data = folder();
  const one = await begin(data, { PATH: '/nowhere' });
  const relay = readdirSync('/proc').find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`ORIEL_DATA=${data}/relay`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('serve');
    } catch {
      return false;
    }
  });
  process.kill(Number(relay), 'SIGKILL');
  assert.equal(await one.ended, 1);
  assert.match(one.said, /relay ended \(SIGKILL\)/);
  assert.deepEqual(left(data), []);
});
