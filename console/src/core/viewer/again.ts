/**
 * Says input again, on a channel that never waits. On the ordered one a
 * lost packet comes again only after SCTP's timer, up to a second later when
 * nothing follows it, and everything after it waits as well; a key must not.
 * The agent does each input once, in the order of the ordered channel.
 *
 * It is said twice more, soon, where packets got lost in the last minute, or that is not
 * known. Elsewhere it is said once, and only what nothing follows: SCTP sends what got lost
 * again by itself once three others came (RFC 9260, 7.2.4), and on a good network what is
 * said again, and its acknowledgements, would be up to a tenth of the bytes of somebody who types.
 * What gets lost is known of the picture only, the other way.
 */
import { create } from '@bufbuild/protobuf';
import { encode } from '../frames';
import { AgainSchema, type ToDesktop } from '../wire/oriel/v1/channel_pb';

/** When, in ms after the first of several and after the time before. */
const PAUSES = [25, 60] as const;
/** Where nothing got lost: after the last, and how many of the last. */
const QUIET = 400;
const LAST = 8; // SCTP has to hear of three, and may hear of two at once
const LOSSY = 60_000; // ms after a loss
const ASK = 5_000; // ms between two looks at what got lost
const MOST = 32; // inputs of one message
const LONGEST = 200; // bytes of text: what is longer was pasted, and may wait
const BACKLOG = 4_096;
const INPUT = new Set<ToDesktop['body']['case']>(['key', 'button', 'wheel', 'text', 'releaseAll']);

export class Again {
  #channel: RTCDataChannel;
  #count = 0; // of all input so far: the number of the last
  #recent: { message: ToDesktop; said: number }[] = []; // up to #count
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost: () => Promise<number>;
  #losses = 0; // so far
  #lossy = Infinity; // until then
  #asked = -Infinity;

  /** Lost counts the packets that did not come. */
  constructor(channel: RTCDataChannel, lost: () => Promise<number>) {
    this.#channel = channel;
    this.#lost = lost;
  }

  /** Takes what goes out on the ordered channel, and says it again in a while if it is input. */
  note(message: ToDesktop): void {
    const { body } = message;
    if (!INPUT.has(body.case)) return;
    this.#count++;
    if (body.case === 'text' && body.value.text.length > LONGEST) {
      this.#recent = [];
      return;
    }
    this.#recent.push({ message, said: 0 });
    const lossy = this.#mayLose;
    if (this.#recent.length > (lossy ? MOST : LAST)) this.#recent.shift();
    if (!lossy) clearTimeout(this.#timer);
    if (!lossy || this.#timer === undefined)
      this.#timer = setTimeout(() => this.#say(), lossy ? PAUSES[0] : QUIET);
    void this.#look();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#recent = [];
  }

  get #mayLose(): boolean {
    return performance.now() < this.#lossy;
  }

  #say(): void {
    const { readyState, bufferedAmount } = this.#channel;
    if (this.#recent.length > 0 && readyState === 'open' && bufferedAmount < BACKLOG) {
      const first = this.#count - this.#recent.length + 1;
      const inputs = this.#recent.map(({ message }) => message);
      this.#channel.send(encode(AgainSchema, create(AgainSchema, { first, inputs })));
    }
    for (const input of this.#recent) input.said++;
    const times = this.#mayLose ? PAUSES.length : 1;
    this.#recent = this.#recent.filter(({ said }) => said < times);
    this.#timer = this.#recent.length > 0 ? setTimeout(() => this.#say(), PAUSES[1]) : undefined;
  }

  async #look(): Promise<void> {
    if (performance.now() < this.#asked + ASK) return;
    this.#asked = performance.now();
    const losses = await this.#lost().catch(() => NaN);
    if (losses > this.#losses) {
      this.#lossy = performance.now() + LOSSY;
      this.#losses = losses;
    } else if (losses === 0 && this.#lossy === Infinity) {
      this.#lossy = 0;
    }
  }
}
