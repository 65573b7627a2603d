/** Emitter hands typed events to listeners, in the order in which they came. */
export class Emitter<Events extends object> {
  #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Calls listener on each event until the returned function is called. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  protected emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      (listener as (value: Events[Name]) => void)(value);
  }

  protected forgetListeners(): void {
    this.#listeners.clear();
  }
}
