/** The computers this person may see, kept true by live events. */
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../core/relay/api';
import type { Live } from '../core/relay/live';
import { Computer_Status, type Computer } from '../core/wire/oriel/v1/live_pb';

export type SortKey = 'name' | 'status' | 'seen';
export interface Sort {
  key: SortKey;
  reverse: boolean;
}

export const sortKeys = ['name', 'status', 'seen'] as const satisfies SortKey[];

const rank = {
  [Computer_Status.IN_SESSION]: 0,
  [Computer_Status.ONLINE]: 1,
  [Computer_Status.OFFLINE]: 2,
  [Computer_Status.NEVER_SEEN]: 3,
  [Computer_Status.BLOCKED]: 4,
  [Computer_Status.UNSPECIFIED]: 5,
} satisfies Record<Computer_Status, number>;

export class Computers {
  byId = new SvelteMap<string, Computer>();
  /** False until the first snapshot. */
  loaded = $state(false);

  /** Takes the events of a live connection until the returned function is called. */
  listen(live: Live): () => void {
    const off = [
      live.on('computers', ({ computers }) => {
        this.byId.clear();
        for (const computer of computers) this.byId.set(computer.id, computer);
        this.loaded = true;
      }),
      live.on('computer', (computer) => this.byId.set(computer.id, computer)),
      live.on('computerRemoved', ({ id }) => this.byId.delete(id)),
    ];
    return () => off.forEach((stop) => stop());
  }

  forget(): void {
    this.byId.clear();
    this.loaded = false;
  }

  list(search: string, sort: Sort): Computer[] {
    const words = search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const found = [...this.byId.values()].filter((c) => {
      const text = searchable(c);
      return words.every((word) => text.includes(word));
    });
    const compare = comparers[sort.key];
    return found.sort((a, b) => (compare(a, b) || byName(a, b)) * (sort.reverse ? -1 : 1));
  }

  async rename(id: string, name: string): Promise<void> {
    await api.PATCH('/api/v1/computers/{id}', { params: { path: { id } }, body: { name } });
  }

  /** Says that a computer's two machines are two: the marked one gets an identity of its own. */
  async split(id: string, mark: string): Promise<void> {
    await api.POST('/api/v1/computers/{id}/split', { params: { path: { id } }, body: { mark } });
  }

  /** Says that only one of a computer's two machines is left. */
  async settle(id: string): Promise<void> {
    await api.DELETE('/api/v1/computers/{id}/twins', { params: { path: { id } } });
  }

  async remove(id: string): Promise<void> {
    await api.DELETE('/api/v1/computers/{id}', { params: { path: { id } } });
    this.byId.delete(id);
  }
}

/** Whether to offer what needs that permission on the computer; the relay decides. */
export const may = (c: Computer, permission: string) => c.permissions.includes(permission);

export const isOnline = (c: Computer) =>
  c.status === Computer_Status.ONLINE || c.status === Computer_Status.IN_SESSION;

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
const byName = (a: Computer, b: Computer) => collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);

const seenAt = (c: Computer) => (isOnline(c) ? Number.MAX_SAFE_INTEGER : Number(c.lastSeen));

const comparers = {
  name: byName,
  status: (a, b) => (rank[a.status] ?? 9) - (rank[b.status] ?? 9),
  // Online ones are being seen now, all of them.
  seen: (a, b) => seenAt(b) - seenAt(a) || 0,
} satisfies Record<SortKey, (a: Computer, b: Computer) => number>;

function searchable(c: Computer): string {
  const s = c.summary;
  const parts = [c.name, c.address, s?.hostName, s?.osName, s?.user, ...(s?.addresses ?? [])];
  return parts.join('\n').toLocaleLowerCase();
}

export const computers = new Computers();
