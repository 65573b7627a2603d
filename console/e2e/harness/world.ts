/** A relay, a computer with a screen, and a signed-in operator, as most tests need them. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { newContext, startBrowser } from './browser.ts';
import { Display } from './display.ts';
import { addComputer, card, closeDialog, makeOwner } from './pages.ts';
import { Agent, Relay, type AgentOptions, type RelayOptions } from './programs.ts';
import { watchPeers, type Transport } from './rtc.ts';
import { Target } from './target.ts';

export type WorldOptions = {
  relay?: RelayOptions;
  agent?: Partial<AgentOptions>;
  /** false: a computer without a screen */
  display?: { width: number; height: number; number?: number } | false;
  browserArgs?: string[];
  /** another program than Chromium itself, such as one that runs it elsewhere */
  chromium?: string;
  ice?: Transport;
};

export class World {
  relay!: Relay;
  agent!: Agent;
  display!: Display;
  target!: Target;
  browser!: Browser;
  context!: BrowserContext;
  /** the list of computers */
  page!: Page;
  /** what went wrong in pages without anybody seeing it */
  errors: string[] = [];

  static async start(options: WorldOptions = {}): Promise<World> {
    const w = new World();
    try {
      await w.open(options);
    } catch (e) {
      const logs = `relay:\n${w.relay?.log()}\nagent:\n${w.agent?.log()}`;
      await w.stop();
      throw new Error(`${e instanceof Error ? e.message : String(e)}\n${logs}`, { cause: e });
    }
    return w;
  }

  private async open(options: WorldOptions): Promise<void> {
    this.relay = await Relay.start(options.relay);
    if (options.display !== false) {
      this.display = await Display.start(
        options.display?.width,
        options.display?.height,
        options.display?.number,
      );
      this.target = await Target.start(this.display);
    }
    this.browser = await startBrowser(options.browserArgs, options.chromium);
    const { context, errors } = await newContext(this.browser);
    this.context = context;
    this.errors = errors;
    await watchPeers(context, options.ice);
    this.page = await context.newPage();
    await makeOwner(this.page, await this.relay.ownerLink());
    const token = await addComputer(this.page);
    this.agent = new Agent({
      relays: [this.relay.url],
      token,
      ...(options.display === false ? {} : { display: this.display.name }),
      ...options.agent,
    });
    await this.page.getByText(/ is here$/).waitFor({ timeout: 20_000 });
    await closeDialog(this.page);
    await card(this.page).getByText('Online').waitFor();
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    await this.agent?.stop();
    await this.target?.stop();
    await this.display?.stop();
    await this.relay?.stop();
  }

  logs(): string {
    return `relay:\n${this.relay.log()}\nagent:\n${this.agent.log()}`;
  }
}
