/** Computers that the relay has lost and that wait to be taken back. */
import { api, take, whole, type WaitingComputer } from '../../core/relay/api';
import type { Live } from '../../core/relay/live';

export class Waiting {
  list = $state.raw<WaitingComputer[]>([]);
  #asked = 0;

  /** Looks anew whenever a computer comes that the list does not know, until the returned function is called. */
  listen(live: Live): () => void {
    void this.load();
    const off = [
      live.on('computers', () => void this.load()),
      live.on('computerRemoved', () => void this.load()),
    ];
    return () => off.forEach((stop) => stop());
  }

  async load(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const all = await whole((query) => take(api.GET('/api/v1/waiting-computers', { params: { query } })));
      if (asked === this.#asked) this.list = all;
    } catch {
      // Who may not see them, or cannot reach the relay, sees none; the next event asks again.
    }
  }

  async takeBack(id: string): Promise<void> {
    await api.POST('/api/v1/waiting-computers/{id}/take-back', { params: { path: { id } } });
    this.#drop(id);
  }

  async forget(id: string): Promise<void> {
    await api.DELETE('/api/v1/waiting-computers/{id}', { params: { path: { id } } });
    this.#drop(id);
  }

  #drop(id: string): void {
    this.list = this.list.filter((one) => one.id !== id);
  }
}
