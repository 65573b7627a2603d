/**
 * Channel is one data channel on a session, beside the picture and the input: the other
 * end of what agent/internal/channel serves. viewer.channel(label) opens it.
 *
 * Messages are binary, of at most MAX_MESSAGE bytes. `send` waits while more than room()
 * bytes wait for the network, so that a key is never behind much: MAX_ROOM for each channel,
 * MAX_TOGETHER for all that are open, as the agent does. What came waits to be
 * read in MAX_UNREAD bytes; one whose agent may be faster than its reader acknowledges
 * in its own words. A channel ends when either side closes it, with its connection, or
 * with a reason that the agent tells in its last message: the only one that is text, a
 * ChannelEnd in base64.
 */
import { decodePlain } from '../sanitize';
import { ChannelEndSchema } from '../wire/oriel/v1/channel_pb';
import { Code, Scope } from '../wire/oriel/v1/session_pb';

export const MAX_MESSAGE = 65_535;
export const MAX_CHANNELS = 16; // open at a time: as many as agents serve
export const MAX_ROOM = 64 << 10;
export const MAX_TOGETHER = 256 << 10;
export const MAX_UNREAD = 512 << 10;
const MAX_UNREAD_MESSAGES = 1_024;
const MAX_END = 2_048; // characters of base64: a detail of 1024 bytes, and what is about it

/** How many bytes each of so many open channels may have waiting. */
export const room = (open: number) => Math.min(MAX_ROOM, Math.floor(MAX_TOGETHER / Math.max(1, open)));

/** Why a channel ended, or could not be opened. The detail is the agent's text. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';

  constructor(
    readonly code: Code,
    readonly detail: string,
    /** With Code.SCOPE: the one that is missing. */
    readonly scope: Scope = Scope.UNSPECIFIED,
  ) {
    super(detail);
  }
}

/** What is used of a data channel. */
type Pipe = Pick<
  RTCDataChannel,
  | 'label'
  | 'readyState'
  | 'binaryType'
  | 'bufferedAmount'
  | 'bufferedAmountLowThreshold'
  | 'onopen'
  | 'onclose'
  | 'onmessage'
  | 'onbufferedamountlow'
  | 'send'
  | 'close'
>;

export class Channel implements AsyncIterable<Uint8Array> {
  readonly #pipe: Pipe;
  readonly #ended: () => void;
  readonly #open: () => number;
  #unread: Uint8Array[] = [];
  #bytes = 0; // of them
  #over = false;
  #why: ChannelError | undefined; // it is over; undefined: it was closed in good order
  #waiting: (() => void)[] = []; // for any change
  #sending: Promise<void> = Promise.resolve();

  /** ended is called once; open says how many channels of the connection there are. */
  constructor(pipe: Pipe, ended: () => void = () => undefined, open: () => number = () => 1) {
    this.#pipe = pipe;
    this.#ended = ended;
    this.#open = open;
    pipe.binaryType = 'arraybuffer';
    pipe.onopen = pipe.onbufferedamountlow = () => this.#wake();
    pipe.onclose = () => this.#end();
    pipe.onmessage = ({ data }) => this.#receive(data);
  }

  get label(): string {
    return this.#pipe.label;
  }

  /** Sends a message as soon as there is room; one after another. Throws why the channel ended. */
  send(message: Uint8Array<ArrayBuffer>): Promise<void> {
    if (message.length > MAX_MESSAGE)
      return Promise.reject(new RangeError(`a message of ${message.length} bytes, at most ${MAX_MESSAGE}`));
    const sent = this.#sending.then(() => this.#put(message));
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  /** Hands out what comes, to one reader; ends with the channel, and throws why if there is a reason. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const message = this.#unread.shift();
      if (message) {
        this.#bytes -= message.length;
        yield message;
      } else if (this.#why) throw this.#why;
      else if (this.#over) return;
      else await this.#change();
    }
  }

  /** Closes it after what was sent. */
  close(): void {
    this.#end();
  }

  /** Its connection is gone. */
  lose(): void {
    this.#end(new ChannelError(Code.UNAVAILABLE, 'the connection to the computer was lost'));
  }

  async #put(message: Uint8Array<ArrayBuffer>): Promise<void> {
    while (!this.#over && !this.#roomFor(message.length)) await this.#change();
    if (this.#over) throw this.#why ?? new ChannelError(Code.UNSPECIFIED, 'the channel was closed');
    this.#pipe.send(message);
  }

  // A message may always go alone.
  #roomFor(bytes: number): boolean {
    const { readyState, bufferedAmount } = this.#pipe;
    const most = room(this.#open());
    this.#pipe.bufferedAmountLowThreshold = Math.min(most / 2, Math.max(0, most - bytes));
    return readyState === 'open' && (bufferedAmount === 0 || bufferedAmount + bytes <= most);
  }

  #receive(data: unknown): void {
    if (this.#over) return;
    if (typeof data === 'string') return this.#end(reason(data));
    if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_MESSAGE)
      return this.#end(new ChannelError(Code.INVALID, 'the computer sent what cannot be read'));
    if (this.#bytes + data.byteLength > MAX_UNREAD || this.#unread.length >= MAX_UNREAD_MESSAGES)
      return this.#end(new ChannelError(Code.BUSY, 'the computer sent more than could be read'));
    this.#unread.push(new Uint8Array(data));
    this.#bytes += data.byteLength;
    this.#wake();
  }

  #end(why?: ChannelError): void {
    if (this.#over) return;
    this.#over = true;
    this.#why = why;
    this.#pipe.close();
    this.#wake();
    this.#ended();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function reason(text: string): ChannelError {
  try {
    if (text.length > MAX_END) throw new RangeError(`${text.length} characters`);
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const { code, detail, scope } = decodePlain(ChannelEndSchema, bytes);
    return new ChannelError(code, detail, scope);
  } catch (error) {
    console.error('channel: bad reason', error);
    return new ChannelError(Code.INVALID, 'the computer sent what cannot be read');
  }
}
