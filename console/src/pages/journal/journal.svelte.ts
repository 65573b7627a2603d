/** The record of sessions: the newest by live events, older pages by REST. */
import { SvelteMap } from 'svelte/reactivity';
import { api, take, type SessionRow } from '../../core/relay/api';
import { Reading } from '../../state/reading.svelte';
import { delaysTold, type Delays } from '../../core/viewer/delays';
import type { Live } from '../../core/relay/live';
import type { JournalEntry } from '../../core/wire/oriel/v1/live_pb';
import { Code, EndReason, Path, Scope } from '../../core/wire/oriel/v1/session_pb';

/** One row, from whichever side it came. Times are Unix milliseconds, 0: not yet. */
export interface Entry {
  id: string;
  computerId: string;
  computerName: string;
  operatorName: string;
  operatorAddress: string;
  browser: string;
  /** All that it had. */
  scopes: Scope[];
  startedAt: number;
  connectedAt: number;
  endedAt: number;
  endReason: EndReason;
  endCode: Code;
  endDetail: string;
  path: Path;
  bytes: number;
  codec: string;
  /** What its pictures took; undefined: nobody measured. */
  delays: SessionDelays | undefined;
}

export interface SessionDelays {
  stages: Delays;
  frames: number;
  lossPercent: number;
}

const PAGE = 20;

export class Journal {
  #byId = new SvelteMap<string, Entry>();
  loaded = $state(false);
  loading = $state(false);
  /** Of the first page. */
  readonly reading = new Reading(() => this.loadOlder());
  /** Where the next older page begins; undefined: there is none. */
  #cursor = $state<string>();
  #live: Live | undefined;
  #paged = false; // the cursor is that of a page, and not of the first look
  #audience = ''; // who reads the same; empty: not said yet

  entries = $derived(
    [...this.#byId.values()].sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1)),
  );

  get hasOlder(): boolean {
    return this.#cursor !== undefined;
  }

  /** Another connection is another's sign-in, who may see other entries. */
  listen(live: Live): () => void {
    if (live !== this.#live) this.#forget();
    this.#live = live;
    const off = [
      live.on('journal', ({ entries, audience }) => void this.#begin(entries.map(fromLive), audience)),
      live.on('journalEntry', (entry) => this.#put(fromLive(entry))),
    ];
    return () => off.forEach((stop) => stop());
  }

  #forget(): void {
    this.#byId.clear();
    this.loaded = false;
    this.#cursor = undefined;
    this.#paged = false;
    this.#audience = '';
  }

  async loadOlder(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    try {
      const query = { limit: PAGE, ...(this.#cursor && { cursor: this.#cursor }) };
      const page = await take(api.GET('/api/v1/sessions', { params: { query } }));
      for (const row of page.items) this.#put(fromRest(row));
      this.#cursor = page.next || undefined;
      this.#paged = true;
    } finally {
      this.loading = false;
    }
  }

  async end(id: string): Promise<void> {
    await api.POST('/api/v1/sessions/{id}/end', { params: { path: { id } } });
  }

  // After a reconnect the snapshot renews what it names; older pages stay, unless their
  // reader may by now read others.
  async #begin(entries: Entry[], audience: string): Promise<void> {
    if (this.#audience && audience !== this.#audience) this.#forget();
    this.#audience = audience;
    for (const entry of entries) this.#put(entry);
    if (!this.#paged) await this.reading.again();
    this.loaded = true;
  }

  #put(entry: Entry): void {
    this.#byId.set(entry.id, entry);
  }
}

function fromLive(e: JournalEntry): Entry {
  const { computerId, computerName, operatorName, operatorAddress, browser, scopes, path, codec } = e;
  return {
    ...{ computerId, computerName, operatorName, operatorAddress, browser, scopes, path, codec },
    id: e.sessionId,
    startedAt: Number(e.startedAt),
    connectedAt: Number(e.connectedAt),
    endedAt: Number(e.endedAt),
    endReason: e.endReason,
    endCode: e.endCode,
    endDetail: e.endDetail,
    bytes: Number(e.bytes),
    delays: e.delays && {
      stages: delaysTold(e.delays),
      frames: Number(e.delays.frames),
      lossPercent: e.delays.lossPpm / 10_000,
    },
  };
}

function fromRest(row: SessionRow): Entry {
  return {
    id: row.id,
    computerId: row.computer_id,
    computerName: row.computer_name,
    operatorName: row.operator_name,
    operatorAddress: row.operator_address,
    browser: row.browser,
    scopes: row.scopes.map((scope) => enumOf<Scope>(Scope, scope)),
    startedAt: time(row.started_at),
    connectedAt: time(row.connected_at),
    endedAt: time(row.ended_at),
    endReason: enumOf(EndReason, row.end_reason),
    endCode: enumOf(Code, row.end_code),
    endDetail: row.end_detail,
    path: enumOf(Path, row.path),
    bytes: row.bytes,
    codec: row.codec,
    delays: row.delays && {
      stages: delaysTold({
        captureUs: row.delays.capture_us,
        convertUs: row.delays.convert_us,
        encodeUs: row.delays.encode_us,
        queueUs: row.delays.queue_us,
        roundTripUs: row.delays.round_trip_us,
        waitUs: row.delays.wait_us,
        decodeUs: row.delays.decode_us,
        shownUs: row.delays.shown_us,
      }),
      frames: row.delays.frames,
      lossPercent: row.delays.loss_ppm / 10_000,
    },
  };
}

/** The REST interface says 'view', 'direct', 'agent_stopped' for the wire's enums. */
function enumOf<E extends number>(values: Record<string, E | string>, name: string | undefined): E {
  const found = values[(name ?? '').toUpperCase()];
  return (typeof found === 'number' ? found : 0) as E;
}

const time = (text: string | undefined) => (text ? Date.parse(text) || 0 : 0);

export const journal = new Journal();
