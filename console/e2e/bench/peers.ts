/** The products that are measured, each started afresh in a place and driven as a person drives it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { BrowserContext, Page } from 'playwright-core';
import { binary } from '../harness/binaries.ts';
import { addComputer, card, closeDialog, makeOwner } from '../harness/pages.ts';
import { Agent, freePort, Relay } from '../harness/programs.ts';
import { Proc, until } from '../harness/proc.ts';
import type { Place } from './link.ts';

export type PeerName = 'Oriel' | 'reference';

/** Where the session is opened: as the product does it, in the page that is open, or in a tab of its own. */
export type Tab = 'usual' | 'same' | 'new';

export interface Peer {
  readonly name: PeerName;
  /** Selects the element that shows the screen. */
  readonly picture: string;
  /** The process that reads the screen and sends it. */
  agentPid(): number;
  /** Starts the programs and goes to where one click starts a session. */
  open(context: BrowserContext): Promise<Page>;
  /** Clicks, as people do, and gives the page that will show the screen. */
  connect(from: Page, tab: Tab): Promise<Page>;
  /** Ends the session and makes ready for another click; gives the page for it. */
  disconnect(from: Page, view: Page): Promise<void>;
  stop(): Promise<void>;
  log(): string;
}

export type Start = { place: Place; display: string };

/** Oriel as it is installed: relay and agent on the computer's side, owner by the link, one computer. */
export class Oriel implements Peer {
  readonly name = 'Oriel';
  readonly picture = 'video';
  private relay: Relay | null = null;
  private agent: Agent | null = null;

  constructor(private o: Start) {}

  agentPid(): number {
    return this.agent?.pid ?? 0;
  }

  async open(context: BrowserContext): Promise<Page> {
    const { place, display } = this.o;
    const port = await place.port();
    const url = `http://127.0.0.1:${port}`;
    const elsewhere = [
      '--listen',
      `0.0.0.0:${port}`,
      '--public-url',
      url,
      '--turn-udp',
      'off',
      '--turn-tcp',
      'off',
    ];
    const relay = await Relay.start({ port, within: place.within, args: place.linked ? elsewhere : [] });
    this.relay = relay;
    const page = await context.newPage();
    await makeOwner(page, await relay.ownerLink());
    const token = await addComputer(page);
    this.agent = new Agent({ relays: [url], token, display, within: place.within });
    await page.getByText(/ is here$/).waitFor({ timeout: 30_000 });
    await closeDialog(page);
    await card(page).getByText('Online').waitFor();
    return page;
  }

  async connect(from: Page, tab: Tab): Promise<Page> {
    await from.bringToFront();
    const link = card(from).getByRole('link', { name: /^Connect to/ });
    if (tab === 'same') {
      await link.evaluate((a) => a.removeAttribute('target'));
      await link.click();
      return from;
    }
    const opened = from.context().waitForEvent('page');
    await link.click();
    return opened;
  }

  async disconnect(from: Page, view: Page): Promise<void> {
    if (view === from) await from.goto(new URL('/', from.url()).href);
    else await view.close();
    await from.bringToFront();
    await card(from).getByText('Online').waitFor();
  }

  async stop(): Promise<void> {
    await this.agent?.stop();
    await this.relay?.stop();
  }

  log(): string {
    return `relay:\n${this.relay?.log()}\nagent:\n${this.agent?.log()}`;
  }
}

/** TigerVNC's server for a screen that is there already, and noVNC in the browser, as Debian has them. */
export class Reference implements Peer {
  readonly name = 'reference';
  readonly picture = '#noVNC_container canvas';
  private vnc: Proc | null = null;
  private web: Proc | null = null;
  private url = '';

  constructor(private o: Start) {}

  agentPid(): number {
    return this.vnc?.pid ?? 0;
  }

  async open(context: BrowserContext): Promise<Page> {
    const { place, display } = this.o;
    const rfb = await freePort();
    const port = await place.port();
    const run = (name: string, ...command: string[]): Proc => {
      const [program = '', ...args] = [...place.within, ...command];
      return Proc.start(name, program, args);
    };
    const security = ['-SecurityTypes', 'None', '-localhost', '-rfbport', String(rfb)];
    this.vnc = run('x0vncserver', 'X0tigervnc', '-display', display, ...security);
    await this.vnc.line(/Listening/i);
    const from = `${place.listen}:${port}`;
    this.web = run('websockify', 'websockify', '--web', '/usr/share/novnc', from, `127.0.0.1:${rfb}`);
    this.url = `http://127.0.0.1:${port}/vnc.html?resize=off&path=websockify`;
    const { pid } = this.web;
    await until('websockify', () => listens(pid, port), 20_000);
    const page = await context.newPage();
    await this.ready(page);
    return page;
  }

  /** A tab of its own opens as a console's would that links to noVNC: it connects by itself. */
  async connect(from: Page, tab: Tab): Promise<Page> {
    await from.bringToFront();
    if (tab !== 'new') {
      await from.click('#noVNC_connect_button');
      return from;
    }
    await from.evaluate((href) => {
      const link = document.createElement('a');
      Object.assign(link, { href, target: '_blank', rel: 'opener', id: 'in-a-tab', textContent: 'Connect' });
      Object.assign(link.style, { position: 'fixed', top: 0, left: 0, zIndex: 1e6, padding: '20px' });
      document.body.append(link);
    }, `${this.url}&autoconnect=true`);
    const opened = from.context().waitForEvent('page');
    await from.click('#in-a-tab');
    return opened;
  }

  async disconnect(from: Page, view: Page): Promise<void> {
    if (view !== from) await view.close();
    await this.ready(from);
  }

  async stop(): Promise<void> {
    await this.web?.stop();
    await this.vnc?.stop();
  }

  log(): string {
    return `x0vncserver:\n${this.vnc?.text()}\nwebsockify:\n${this.web?.text()}`;
  }

  private async ready(page: Page): Promise<void> {
    await page.goto(this.url, { timeout: 120_000 }); // many small files, over any network
    await page.waitForSelector('#noVNC_connect_button', { state: 'visible' });
    await page.waitForLoadState('networkidle');
  }
}

export function versions(): string[] {
  const installed = (name: string): string => {
    const version = execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8' });
    return `${name} ${version}`;
  };
  const ours = execFileSync(binary('oriel-agent'), ['version'], { encoding: 'utf8' })
    .trim()
    .replaceAll('\n', ', ');
  return [ours, ...['tigervnc-scraping-server', 'novnc', 'websockify', 'chromium'].map(installed)];
}

/** Whether a port is listened on where that process is, in whatever network namespace. */
function listens(pid: number, port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .some((line) => line.split(' 0A ')[0]?.includes(wanted) && line.includes(' 0A '));
}
