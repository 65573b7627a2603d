// Tests of `make run` itself: node --test .ci/try.test.mjs, after make build.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
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
  one.link = /(http\S+\/owner#\S+)/.exec(one.said)?.[1];
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

const person = { name: 'Ada', email: 'ada@example.com', password: 'a long enough password' };

test('a screen to control, stopped without a trace, started again with the same data', async () => {
  const data = folder();
  const first = await begin(data);
  assert.ok(left(data).some((line) => line.includes('Xvfb')), 'there is a real display');
  const token = new URL(first.link).hash.slice(1);
  const made = await call(first, 'POST', '/api/v1/owner', { ...person, token });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const again = await call(first, 'POST', '/api/v1/owner', { ...person, token });
  assert.notEqual(again.status, 200, 'the link works once');
  const before = await call(first, 'GET', '/api/v1/computers', null, made.cookie);
  assert.equal(before.status, 200);
  assert.equal(before.body.items.length, 1);

  first.child.kill('SIGINT');
  assert.equal(await first.ended, 0, first.said);
  assert.deepEqual(left(data), []);
  await assert.rejects(fetch(first.url));

  const second = await begin(data);
  assert.equal(second.link, undefined, 'there is an owner already');
  const signed = await call(second, 'POST', '/api/v1/sign-in', { login: person.email, password: person.password });
  const since = await call(second, 'GET', '/api/v1/computers', null, signed.cookie);
  assert.deepEqual(since.body.items.map((c) => c.id), before.body.items.map((c) => c.id), 'the same computer');
  second.child.kill('SIGTERM');
  assert.equal(await second.ended, 0, second.said);
  assert.deepEqual(left(data), []);
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
