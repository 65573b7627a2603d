// Adapter of Oriel for the referee, a benchmark of several remote-desktop
// systems that is not part of this repository: copy it there as
// peers/oriel.js and name `oriel` among the peers.
//
// ORIEL_BUILD names the folder with oriel-relay and oriel-agent; without it the
// repository's build/ is taken, if this file still lies there.
//
// One trusted click starts the session, as with every peer. The console opens
// the viewer in a new tab, and the referee measures one page: so `target` is
// taken off the computer's link before the click, which the console then
// follows in the same tab. Everything after the click is the product's own.
const { execFileSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const build = process.env.ORIEL_BUILD || path.join(__dirname, '../../../build');
const program = (name) => path.join(build, name);

const RELAY = 6990;
const PROXY = 6991; // where the browser believes the relay is
const STAT = 6992;
const TURN = 6993;
const page127 = (port) => `http://127.0.0.1:${port}`;

let relay, agent, proxy, data, settings;

const ask = (...args) =>
  execFileSync(program('oriel-relay'), args, { env: settings, encoding: 'utf8' }).trim();

module.exports = {
  canvas: 'video',

  async start(c) {
    data = fs.mkdtempSync(path.join(os.tmpdir(), 'oriel-referee-'));
    const turn = c.agentHost === '127.0.0.1' ? `127.0.0.1:${TURN}` : 'off'; // there is a direct way
    settings = {
      ...process.env,
      ORIEL_LISTEN: `${c.bind}:${RELAY}`,
      ORIEL_PUBLIC_URL: page127(PROXY),
      ORIEL_AGENT_RELAYS: page127(RELAY), // on the agent's side of the link
      ORIEL_TURN_UDP: turn,
      ORIEL_TURN_TCP: turn,
      ORIEL_DATA: path.join(data, 'relay'),
    };
    relay = c.runAgent('oriel-relay', program('oriel-relay'), ['serve'], { env: settings });
    proxy = await c.countProxy('proxy-oriel', PROXY, RELAY, STAT);
    await c.until('the relay', async () => (await c.get(`${page127(PROXY)}/readyz`)).length > 0);
    const token = ask('token', 'create', '--note', 'referee', '--uses', '1');
    const where = ['--relay', page127(RELAY), '--data', path.join(data, 'agent'), '--display', c.DISPLAY];
    agent = c.runAgent('oriel-agent', program('oriel-agent'), ['run', ...where], {
      env: { ...process.env, ORIEL_TOKEN: token },
    });
    return {
      groups: { agent: [agent.pid], server: [relay.pid], proxy: [proxy.pid] },
      wires: { viewer: 'rtc' },
      versions: { oriel: execFileSync(program('oriel-agent'), ['version'], { encoding: 'utf8' }).trim() },
    };
  },

  async open(page) {
    await page.goto(ask('owner', 'link'));
    await page.getByLabel('Your name').fill('Referee');
    await page.getByLabel('E-mail').fill('referee@example.org');
    await page.getByLabel('Password').fill('a long enough password');
    await page.getByRole('button', { name: 'Create account' }).click();
    const card = page.getByTestId('computer');
    await card.getByText('Online').waitFor();
    await card.locator('a.open').evaluate((link) => link.removeAttribute('target'));
    // The viewer takes pointer events, after which there is no mousedown for the referee to note.
    await page.evaluate(() => {
      const noted = (e) =>
        e.isTrusted &&
        window.__probe.inputs.push({ type: 'mousedown', at: performance.timeOrigin + e.timeStamp });
      window.addEventListener('pointerdown', noted, { capture: true });
    });
  },

  async connect(page) {
    await page.click('[data-testid=computer] a.open');
  },

  async stop(c) {
    for (const p of [agent, proxy, relay]) await c.end(p);
    if (data) fs.rmSync(data, { recursive: true, force: true });
    data = undefined;
  },
};
