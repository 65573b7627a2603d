// `make run`: a relay on 127.0.0.1, two demo computers enrolled in it and three people
// (people.mjs), until Ctrl-C or SIGTERM. What they keep is in ./data (ORIEL_DATA names
// another folder); a second start goes on with it.
//
// One computer is a real X display (Xvfb) with a window manager, a terminal and a
// page to scroll, where those programs are installed; the other's agent draws a
// desktop itself, as both do elsewhere.
//
// Every program is started as the leader of its own process group and ended
// with the whole group, last one first: nothing is left behind, and a Ctrl-C
// reaches the programs through here, in order.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { People } from './people.mjs';

const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const data = resolve(process.env.ORIEL_DATA || join(root, 'data'));
const relayData = join(data, 'relay');
const relay = join(root, 'build', 'oriel-relay');
const agent = join(root, 'build', 'oriel-agent');

const started = []; // { name, child, ended }
let stopping = false;

// start runs a program; its words go to data/NAME.log. once: the whole demo
// ends when this program does. mute: what it prints is not for a log.
function start(name, program, args, { env = {}, once = true, mute = false, stdio = [] } = {}) {
  const log = openSync(join(data, `${name}.log`), 'a');
  const child = spawn(program, args, {
    cwd: data,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', mute ? 'ignore' : log, log, ...stdio],
  });
  closeSync(log);
  const one = { name, child, ended: null };
  one.ended = new Promise((done) => {
    child.once('error', (err) => done(err.message));
    child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`));
  });
  if (once)
    void one.ended.then((how) => {
      if (!stopping) fail(`${name} ended (${how}); its last words are in ${join(data, `${name}.log`)}:\n${tail(name)}`);
    });
  started.push(one);
  return one;
}

const tail = (name) => readFileSync(join(data, `${name}.log`), 'utf8').trimEnd().split('\n').slice(-5).join('\n');

// keep starts a program again when it ends: closing a window is no reason to
// lose it. A program that keeps failing is left alone.
function keep(name, program, args, env) {
  let tries = 0;
  const again = () => {
    const begun = Date.now();
    const one = start(name, program, args, { env, once: false });
    void one.ended.then(() => {
      if (stopping) return;
      started.splice(started.indexOf(one), 1);
      tries = Date.now() - begun > 5000 ? 0 : tries + 1;
      if (tries < 5) setTimeout(() => stopping || again(), 500);
    });
  };
  again();
}

function signal(one, what) {
  try {
    process.kill(-one.child.pid, what);
  } catch {
    // gone already
  }
}

async function stop() {
  stopping = true;
  for (const one of started.reverse()) {
    if (one.child.pid === undefined) continue;
    signal(one, 'SIGTERM');
    const patience = setTimeout(() => signal(one, 'SIGKILL'), 8000);
    await one.ended;
    clearTimeout(patience);
    signal(one, 'SIGKILL'); // what it left in its group
  }
}

let failed = false;
function fail(message) {
  if (failed || stopping) return;
  failed = true;
  console.error(`run: ${message}`);
  void stop().then(() => process.exit(1));
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(name, () => {
    if (stopping) return;
    console.log('\nrun: stopping');
    void stop().then(() => process.exit(0));
  });

// until polls: a value, or null to be asked again.
async function until(what, seconds, ask) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await ask();
    if (value || stopping) return value;
    if (Date.now() > deadline) throw new Error(`${what} within ${seconds} s: that did not happen; see the logs in ${data}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

// freePort is the first port from this one on that nobody listens on.
async function freePort(port) {
  for (; port < 65536; port++) {
    const free = await new Promise((done) => {
      const server = createServer();
      server.once('error', () => done(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => done(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}

const find = (...names) =>
  names
    .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name)))
    .find((path) => existsSync(path));

// ask runs a command to its end and returns what it printed.
function ask(program, args, env = {}) {
  const done = spawnSync(program, args, { cwd: data, env: { ...process.env, ...env }, encoding: 'utf8' });
  return { ok: done.status === 0, text: (done.stdout ?? '').trim(), error: (done.stderr ?? '').trim() };
}

async function startRelay() {
  const port = await freePort(Number(process.env.ORIEL_PORT) || 8080);
  const turn = await freePort(3478);
  const url = `http://127.0.0.1:${port}`;
  const settings = {
    ORIEL_LISTEN: `127.0.0.1:${port}`,
    ORIEL_PUBLIC_URL: url,
    ORIEL_TURN_UDP: `127.0.0.1:${turn}`,
    ORIEL_TURN_TCP: `127.0.0.1:${turn}`,
    ORIEL_DATA: relayData,
    ORIEL_DOWNLOADS: join(root, 'dist'),
  };
  // It prints the owner's link, which is a secret; the one below takes its place.
  start('relay', relay, ['serve'], { env: settings, mute: true });
  await until('the relay answers', 30, async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok);
  return { url, settings };
}

// screen starts the demo computer's display and returns the environment of
// programs on it, or null where that cannot be had.
async function screen() {
  const xvfb = find('Xvfb');
  const xauth = find('xauth');
  const xterm = find('xterm');
  if (!xvfb || !xauth || !xterm) {
    const missing = Object.entries({ Xvfb: xvfb, xauth, xterm }).filter(([, path]) => !path);
    console.log(`run: no ${missing.map(([name]) => name).join(', ')}; the demo computer draws its own screen`);
    return null;
  }
  // Only who has the cookie may look at the display.
  const authority = join(data, 'xauthority');
  const cookie = randomBytes(16).toString('hex');
  rmSync(authority, { force: true });
  writeFileSync(authority, '', { mode: 0o600 });
  ask(xauth, ['-q', '-f', authority, 'add', ':0', '.', cookie]);

  // -noreset: the server would start anew, in black, when the first program that asked it something ends.
  const x = start('screen', xvfb, ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp', '-noreset', '-auth', authority], { stdio: ['pipe'] });
  let number = '';
  x.child.stdio[3].on('data', (text) => (number += text));
  await until('the display starts', 20, () => /^\d+\n/.test(number));
  const display = `:${number.trim()}`;
  ask(xauth, ['-q', '-f', authority, 'add', display, '.', cookie]);
  const env = { DISPLAY: display, XAUTHORITY: authority, WAYLAND_DISPLAY: '' };

  const openbox = find('openbox');
  if (openbox) keep('windows', openbox, [], env);
  const xsetroot = find('xsetroot');
  if (xsetroot) ask(xsetroot, ['-solid', '#35506b'], env);
  const font = ['-fa', 'DejaVu Sans Mono', '-fs', '11'];
  const hello = 'echo; echo "  This is the demo computer. Type here: it is a shell of yours."; echo; exec "${SHELL:-/bin/sh}"';
  keep('terminal', xterm, [...font, '-geometry', '62x18+24+400', '-title', 'Terminal', '-e', '/bin/sh', '-c', hello], env);
  page(env, xterm, font);
  return env;
}

// page shows something to scroll: in a browser, or in a terminal.
function page(env, xterm, font) {
  const text = ['README.md', 'LICENSE'].map((name) => readFileSync(join(root, name), 'utf8')).join('\n\n');
  const browser = find('chromium', 'chromium-browser', 'google-chrome');
  if (!browser) {
    writeFileSync(join(data, 'page.txt'), text);
    keep('page', xterm, [...font, '-geometry', '74x38+620+24', '-title', 'Page', '-e', 'less', join(data, 'page.txt')], env);
    return;
  }
  writeFileSync(join(data, 'page.html'), html(text));
  const flags = [
    `--user-data-dir=${join(data, 'browser')}`,
    '--app=file://' + join(data, 'page.html'),
    '--window-position=600,16',
    '--window-size=660,760',
    '--no-first-run',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--password-store=basic',
  ];
  // As root, and where the system has no user namespaces, Chromium has no sandbox.
  if (process.getuid?.() === 0) flags.push('--no-sandbox', '--test-type');
  keep('page', browser, flags, env);
}

// html makes a readable page of Markdown: headings and paragraphs.
function html(text) {
  const style =
    'body{font:16px/1.6 "DejaVu Sans",sans-serif;color:#1c2733;margin:2.5em 3em}' +
    'h1,h2{line-height:1.2;color:#12405f}pre{font:13px/1.5 "DejaVu Sans Mono",monospace;white-space:pre-wrap;background:#eef3f7;padding:1em}';
  const blocks = text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/^!\[.*$/gm, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*\*?([^*\n]+)\*\*?/g, '<em>$1</em>')
    .split(/\n{2,}/)
    .map((block) => {
      const [, marks, title] = /^(#+) (.*)$/.exec(block) ?? [];
      if (marks) return `<h${marks.length}>${title}</h${marks.length}>`;
      return /^(```|\||\s{2,}|\d+\. )/.test(block) ? `<pre>${block.replace(/^```.*\n?/gm, '')}</pre>` : `<p>${block}</p>`;
    });
  return `<!doctype html><meta charset="utf-8"><title>A page to scroll</title><style>${style}</style>${blocks.join('\n')}`;
}

async function main() {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const { url, settings } = await startRelay();
  const people = new People(url, join(data, 'people.json'));
  await people.owner(ask(relay, ['owner', 'link'], settings).text);
  const env = await screen();
  const desk = await computer(url, settings, 'demo-computer', env ? ['--display', env.DISPLAY] : ['--demo'], env);
  const lathe = await computer(url, settings, 'second-computer', ['--demo'], another());
  if (stopping) return;
  await people.rest([
    [desk, 'Front desk', 'Office'],
    [lathe, 'Lathe', 'Workshop'],
  ]);

  console.log(`\n  Oriel runs at   ${url}\n`);
  console.log(people.said || '  It has an owner already: sign in as you did before.\n');
  console.log(`  Two demo computers are in the list. Everything is kept in ${data}.`);
  console.log('  Ctrl-C stops it all.\n');
}

// computer starts an agent that keeps its things in a folder of data, enrolls it once,
// and returns its id.
async function computer(url, settings, folder, args, env = {}) {
  const state = join(data, folder, 'state.json');
  const id = () => existsSync(state) && JSON.parse(readFileSync(state, 'utf8')).computer_id;
  const token = id() ? '' : enrollmentToken(settings, folder);
  start(folder, agent, ['run', '--relay', url, '--data', join(data, folder), ...args], { env: { ...env, ...(token && { ORIEL_TOKEN: token }) } });
  return until(`the ${folder} enrolls`, 30, id);
}

// another makes the second computer a machine of its own, for what asks the system
// (gopsutil reads these folders in place of /etc and /sys): one that is enrolled twice
// would be marked as that.
function another() {
  const etc = join(data, 'second-etc');
  const sys = join(data, 'second-sys');
  if (!existsSync(etc)) {
    for (const made of [sys, etc]) mkdirSync(made, { recursive: true });
    for (const name of readdirSync('/etc').filter((one) => /release|_version$/.test(one))) symlinkSync(join('/etc', name), join(etc, name));
    writeFileSync(join(etc, 'machine-id'), `${randomBytes(16).toString('hex')}\n`);
  }
  return { HOST_ETC: etc, HOST_SYS: sys };
}

function enrollmentToken(settings, note) {
  const made = ask(relay, ['token', 'create', '--note', note, '--uses', '1'], settings);
  if (!made.ok) throw new Error(`no enrollment token: ${made.error}`);
  return made.text;
}

main().catch((err) => fail(err.message));
