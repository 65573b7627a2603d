/** The audit of the organization: read by REST page by page, the newest first. */
import { api, take, type Schema } from '../../core/relay/api';
import { line } from '../../core/sanitize';

export type Entry = Schema<'AuditEntry'>;
type State = Schema<'AuditState'>;
type Query = NonNullable<NonNullable<Parameters<typeof list>[0]>>;

/** Which entries: as the address bar has it, each empty one is any. */
export interface Filter {
  /** A kind of actor, or the id of one. */
  who: string;
  action: string;
  outcome: string;
  /** Days, as the browser's date fields write them, in the time zone of who reads; both are within. */
  from: string;
  until: string;
}

export const KINDS = ['person', 'agent', 'command', 'relay'] as const;
const OUTCOMES = ['done', 'refused'] as const;

const PAGE = 30;

const list = (query: {
  limit?: number;
  cursor?: string;
  actor?: string;
  actor_kind?: (typeof KINDS)[number];
  action?: string;
  outcome?: (typeof OUTCOMES)[number];
  from?: string;
  until?: string;
}) => take(api.GET('/api/v1/audit', { params: { query } }));

/** What the relay is asked for by a filter; what is no day or no such word is not asked. */
export function queryOf(filter: Filter): Query {
  const kind = KINDS.find((one) => one === filter.who);
  const outcome = OUTCOMES.find((one) => one === filter.outcome);
  const [from, until] = [day(filter.from, 0), day(filter.until, 1)];
  return {
    ...(kind ? { actor_kind: kind } : filter.who && { actor: filter.who }),
    ...(filter.action && { action: filter.action }),
    ...(outcome && { outcome }),
    ...(from && { from }),
    ...(until && { until }),
  };
}

/** The midnight with which a day begins, or the one so many days later. */
function day(text: string, later: number): string | undefined {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (!year) return undefined;
  const at = new Date(Number(year), Number(month) - 1, Number(date) + later);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** Where a file of what a filter names is. */
export function exportUrl(filter: Filter, format: 'csv' | 'jsonl'): string {
  return `/api/v1/audit/export?${new URLSearchParams({ ...(queryOf(filter) as Record<string, string>), format })}`;
}

/** An entry with every text in it plain. */
function fromRest(row: Entry): Entry {
  return {
    ...row,
    actor_id: line(row.actor_id),
    actor_kind: line(row.actor_kind),
    actor_name: line(row.actor_name),
    address: line(row.address),
    object_id: line(row.object_id),
    object_kind: line(row.object_kind),
    details: Object.fromEntries(Object.entries(row.details).map(([name, text]) => [line(name), line(text)])),
  };
}

export class Audit {
  /** Undefined: not read yet. */
  entries = $state.raw<Entry[]>();
  state = $state.raw<State>();
  loading = $state(false);
  /** Where the next older page begins; empty: there is none. */
  #cursor = $state('');
  #query: Query = {};
  #asked = 0; // what is answered to an earlier filter is let go

  get hasOlder(): boolean {
    return this.#cursor !== '';
  }

  /** Begins anew with what a filter names. */
  async load(filter: Filter): Promise<void> {
    this.#query = queryOf(filter);
    await this.#read('');
  }

  async loadOlder(): Promise<void> {
    if (!this.loading) await this.#read(this.#cursor);
  }

  async loadState(): Promise<void> {
    const state = await take(api.GET('/api/v1/audit/state'));
    this.state = { ...state, fault: line(state.fault) };
  }

  async #read(cursor: string): Promise<void> {
    const asked = ++this.#asked;
    this.loading = true;
    try {
      const page = await list({ ...this.#query, limit: PAGE, ...(cursor && { cursor }) });
      if (asked !== this.#asked) return;
      const rows = page.items.map(fromRest);
      this.entries = cursor ? [...(this.entries ?? []), ...rows] : rows;
      this.#cursor = page.next;
    } catch (error) {
      if (asked !== this.#asked) return;
      if (!cursor) {
        this.entries = undefined;
        this.#cursor = '';
      }
      throw error;
    } finally {
      if (asked === this.#asked) this.loading = false;
    }
  }
}
