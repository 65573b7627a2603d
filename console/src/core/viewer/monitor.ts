/**
 * Monitor watches one connection while it lasts: reads its statistics once a second,
 * asks for the picture until one is shown, notices that nothing arrives any more
 * (core/viewer/silence.ts), and reports to the agent, which writes the journal, how long the
 * pictures took to be shown here.
 */
import { Tally } from './delays';
import type { Peer } from './peer';
import type { PresentationDelay } from './presentation';
import { answerWithin, received, Silence } from './silence';
import { StatsReader, type ViewerStats } from './stats';
import type { Stats as AgentStats } from '../wire/oriel/v1/channel_pb';

const STATS_EVERY = 1_000; // ms
const REPORT_EVERY = 10; // readings
const REFRESH_LONGEST = 16; // readings

export interface MonitorEvents {
  stats(stats: ViewerStats): void;
  /** The network is silent, or no longer. */
  unsteady(silent: boolean): void;
  /** Whether another node of the relay may carry the session, so that silence is looked for more often. */
  movable(): boolean;
}

export class Monitor {
  readonly #peer: Peer;
  readonly #delay: PresentationDelay;
  readonly #events: MonitorEvents;
  readonly #reader = new StatsReader();
  readonly #tally = new Tally();
  readonly #silence: Silence;
  #agentStats: AgentStats | undefined;
  #pictured = false;
  #packets = 0; // of video, at the last reading
  #wait = 1; // readings until a picture is asked for
  #pause = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #between: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #last: ViewerStats | undefined;

  constructor(peer: Peer, delay: PresentationDelay, events: MonitorEvents) {
    this.#peer = peer;
    this.#delay = delay;
    this.#events = events;
    this.#silence = new Silence(
      (ping) => peer.send(ping),
      () => peer.stats(),
      (silent) => events.unsteady(silent),
    );
    void this.#read();
  }

  /** A message came. */
  heard(): void {
    this.#silence.heard();
  }

  /** Something was typed or clicked. */
  used(): void {
    this.#silence.used();
  }

  /** The browser says that the network is silent, or no longer. */
  broken(silent: boolean): void {
    this.#silence.broken = silent;
  }

  /** Whether the session goes through a relay, as far as is known. */
  get relayed(): boolean {
    return this.#last?.path === 'relayed';
  }

  /** Asks the other side for a sign of life, and whether anything came soon after. */
  async alive(): Promise<boolean> {
    const before = received(await this.#peer.stats());
    this.#peer.send({ case: 'ping', value: { id: 1n } });
    await new Promise((resolve) => setTimeout(resolve, answerWithin(this.#last?.roundTripMs)));
    return this.#closed || received(await this.#peer.stats()) !== before;
  }

  /** A picture is shown, or none is expected. */
  pictured(): void {
    this.#pictured = true;
  }

  /** The agent's latest figures. */
  agent(stats: AgentStats): void {
    this.#agentStats = stats;
  }

  /** Reports to the agent what was measured since the last report. */
  report(): void {
    this.#tally.addShown(this.#delay.take());
    const value = this.#tally.take();
    if (value) this.#peer.send({ case: 'seen', value });
  }

  close(): void {
    this.#closed = true;
    this.#silence.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#between);
  }

  async #read(): Promise<void> {
    const report = await this.#peer.stats();
    if (this.#closed) return;
    const stats = this.#reader.read(report, this.#agentStats, this.#delay.take());
    this.#last = stats;
    this.#silence.look(report, stats.decoded, stats.roundTripMs);
    if (!this.#pictured) this.#refresh(report);
    this.#tally.add(stats);
    if (this.#tally.lacksShown) this.#delay.next();
    if (this.#tally.looks >= REPORT_EVERY) this.report();
    this.#events.stats(stats);
    this.#timer = setTimeout(() => void this.#read(), STATS_EVERY);
    if (this.#events.movable()) this.#between = setTimeout(() => void this.#glance(), STATS_EVERY / 2);
  }

  async #glance(): Promise<void> {
    const report = await this.#peer.stats();
    if (!this.#closed) this.#silence.glance(report);
  }

  // A browser asks for what it knows to be missing. It knows nothing of a picture of which
  // no packet came, or that it dropped while nobody looked; a still screen sends no other.
  #refresh(report: RTCStatsReport): void {
    let packets = 0;
    report.forEach((entry: { type: string; kind?: string; packetsReceived?: number }) => {
      if (entry.type === 'inbound-rtp' && entry.kind === 'video') packets += entry.packetsReceived ?? 0;
    });
    const comes = packets !== this.#packets;
    this.#packets = packets;
    if (comes || this.#wait-- > 0) return;
    this.#peer.send({ case: 'refresh', value: {} });
    this.#wait = this.#pause;
    this.#pause = Math.min(2 * this.#pause, REFRESH_LONGEST);
  }
}
