/**
 * The keys of computers that are remembered: in this browser, by computer and by
 * key, and with the person's account on the relay. What the account says comes
 * from the relay, so that it can make a viewer stop and never makes it trust.
 */
import { api } from '../relay/api';

export interface Pins {
  /** The key this browser knows a computer by. */
  get(computerId: string): Uint8Array | undefined;
  /** The computer that this browser knows the key of. */
  whose(key: Uint8Array): string | undefined;
  /** Remembers a key, with the account in the place of the one it has. */
  set(computerId: string, key: Uint8Array, accountHas?: Uint8Array): void;
}

/** Pins in localStorage; where that is not to be had, for as long as the page lives. */
export class BrowserPins implements Pins {
  #memory = new Map<string, string>();

  get(computerId: string): Uint8Array | undefined {
    const text = this.#read(keyName(computerId));
    return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? fromHex(text) : undefined;
  }

  whose(key: Uint8Array): string | undefined {
    const computerId = this.#read(computerName(key));
    return computerId !== undefined && sameBytes(this.get(computerId), key) ? computerId : undefined;
  }

  set(computerId: string, key: Uint8Array): void {
    this.#write(keyName(computerId), toHex(key));
    this.#write(computerName(key), computerId);
  }

  #read(name: string): string | undefined {
    try {
      return localStorage.getItem(name) ?? this.#memory.get(name);
    } catch {
      return this.#memory.get(name); // storage is switched off: what this page remembers has to do
    }
  }

  #write(name: string, value: string): void {
    this.#memory.set(name, value);
    try {
      localStorage.setItem(name, value);
    } catch {
      // As above.
    }
  }
}

/** BrowserPins that are kept with the account as well. */
export class AccountPins extends BrowserPins {
  override set(computerId: string, key: Uint8Array, accountHas?: Uint8Array): void {
    super.set(computerId, key);
    if (sameBytes(accountHas, key)) return;
    const body = { key: toBase64(key), ...(accountHas ? { replaces: toBase64(accountHas) } : {}) };
    // A relay that does not take it has the browser know it alone; the next session says it again.
    api.PUT('/api/v1/me/keys/{id}', { params: { path: { id: computerId } }, body }).catch(() => undefined);
  }
}

export function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const keyName = (computerId: string) => `oriel.key.${computerId}`;
const computerName = (key: Uint8Array) => `oriel.computer.${toHex(key)}`;

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
