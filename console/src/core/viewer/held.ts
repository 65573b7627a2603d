/**
 * Says what is held down, while anything is: where this page or the network stands still
 * between a press and its release, the agent lets go by itself, or one press would type
 * dozens of letters. It is said on the channel that never waits, as what is late proves nothing.
 */
import { create } from '@bufbuild/protobuf';
import { encode } from '../frames';
import type { DesktopMessage } from './desktop-message';
import { AgainSchema, HeldSchema, type ToDesktop } from '../wire/oriel/v1/channel_pb';

const EVERY = 190; // ms: the agent lets go after 400, and one may get lost
const BACKLOG = 4_096;
const MOST = { usages: 32, buttons: 8 } as const; // of one message

type Channel = Pick<RTCDataChannel, 'readyState' | 'bufferedAmount' | 'send'>;

export class Held {
  #channel: Channel;
  #send: (body: DesktopMessage) => void;
  #usages = new Set<number>();
  #buttons = new Set<number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Send is the ordered channel, for where the other one is not open. */
  constructor(channel: Channel, send: (body: DesktopMessage) => void) {
    this.#channel = channel;
    this.#send = send;
  }

  /** Tells the agent that it may rely on this. */
  begin(): void {
    this.#send({ case: 'held', value: {} });
  }

  /** Takes what goes out on the ordered channel. */
  note({ body }: ToDesktop): void {
    if (body.case === 'key') change(this.#usages, body.value.usage, body.value.down);
    else if (body.case === 'button') change(this.#buttons, body.value.button, body.value.down);
    else if (body.case === 'releaseAll') this.#forget();
    else return;
    const holds = this.#usages.size + this.#buttons.size > 0;
    if (holds) this.#timer ??= setInterval(() => this.#say(), EVERY);
    else this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#forget();
  }

  #forget(): void {
    this.#usages.clear();
    this.#buttons.clear();
  }

  #say(): void {
    const usages = [...this.#usages].slice(0, MOST.usages);
    const buttons = [...this.#buttons].slice(0, MOST.buttons);
    const { readyState, bufferedAmount } = this.#channel;
    if (readyState !== 'open') return this.#send({ case: 'held', value: { usages, buttons } });
    if (bufferedAmount > BACKLOG) return; // it would come too late
    const held = create(HeldSchema, { usages, buttons });
    this.#channel.send(encode(AgainSchema, create(AgainSchema, { held })));
  }
}

function change(all: Set<number>, one: number, down: boolean): void {
  if (down) all.add(one);
  else all.delete(one);
}
