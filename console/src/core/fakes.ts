/** The other sides, for tests: a WebSocket and a peer connection made of arrays. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { decode, encode } from './frames';
import {
  FromDesktopSchema,
  ToDesktopSchema,
  type FromDesktop,
  type ToDesktop,
} from './wire/oriel/v1/channel_pb';
import type { SocketHandoff } from './relay/handoff';
import type { Servers } from './relay/ice';
import {
  FromConsoleSchema,
  ToConsoleSchema,
  type FromConsole,
  type ToConsole,
} from './wire/oriel/v1/live_pb';
import { Capability } from './wire/oriel/v1/session_pb';

type ToConsoleBody = Exclude<MessageInitShape<typeof ToConsoleSchema>['body'], undefined>;
type FromDesktopBody = Exclude<MessageInitShape<typeof FromDesktopSchema>['body'], undefined>;

export class FakeSocket {
  static all: FakeSocket[] = [];
  static open = (url: string) => new FakeSocket(url) as unknown as WebSocket;
  /** The newest. */
  static get last(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  readonly OPEN = 1;
  readyState = 0;
  binaryType = '';
  closed = false;
  sent: FromConsole['body'][] = [];
  #ids = new Map<FromConsole['body'], number>(); // of what was sent with one
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  send(bytes: Uint8Array): void {
    const { body, id } = decode(FromConsoleSchema, bytes);
    this.sent.push(body);
    if (id) this.#ids.set(body, id);
  }

  close(): void {
    this.closed = true;
    this.readyState = 3;
  }

  /** What was sent of one kind. */
  of<C extends Exclude<FromConsole['body']['case'], undefined>>(name: C) {
    return this.sent.filter((b): b is Extract<FromConsole['body'], { case: C }> => b.case === name);
  }

  /** What was asked of one kind, with the numbers of the asks. */
  asked<C extends Exclude<FromConsole['body']['case'], undefined>>(name: C) {
    return this.of(name).map((body) => ({ ...body, id: this.#ids.get(body) ?? 0 }));
  }

  deliver(body: ToConsoleBody): void {
    const bytes = toConsole(body);
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });
  }

  greet(iceServers: Servers[] = [], capabilities = [Capability.CHANGE_SCOPES, Capability.TOPICS]): void {
    this.readyState = this.OPEN;
    this.onopen?.();
    this.deliver({ case: 'welcome', value: { personId: 'p', iceServers, capabilities } });
  }

  /** The other side or the network closes it. */
  drop(): void {
    this.readyState = 3;
    this.onclose?.();
  }
}

const toConsole = (body: ToConsoleBody) =>
  encode(ToConsoleSchema, create(ToConsoleSchema, { body }) as ToConsole);

/** A socket as another page hands it off. */
export function fakeHandoff(iceServers: Servers[] = []): SocketHandoff & { fake: FakeSocket } {
  const fake = new FakeSocket('handoff');
  fake.readyState = fake.OPEN;
  const welcome = toConsole({ case: 'welcome', value: { personId: 'p', iceServers } });
  return { fake, socket: fake as unknown as WebSocket, welcome, iceServers };
}

export class FakeChannel {
  readyState = 'connecting';
  binaryType = '';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  closed = false;
  sent: Uint8Array[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onbufferedamountlow: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor(
    readonly label: string,
    readonly options: RTCDataChannelInit,
  ) {}

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  open(): void {
    this.readyState = 'open';
    this.onopen?.();
  }

  /** The agent closes it. */
  drop(): void {
    this.readyState = 'closed';
    this.onclose?.();
  }

  close(): void {
    this.closed = true;
    this.readyState = 'closed';
  }
}

export class FakeStream extends MediaStream {
  constructor(readonly tracks: unknown[]) {
    super();
  }
}

export class FakePeerConnection {
  static all: FakePeerConnection[] = [];
  static get last(): FakePeerConnection {
    const peer = FakePeerConnection.all.at(-1);
    if (!peer) throw new Error('no peer connection was made');
    return peer;
  }

  /** DER of the agent's certificate, as far as the viewer looks. */
  static readonly certificate = new TextEncoder().encode("the agent's certificate");

  /** What the other end shows; undefined: this browser's transport does not say. */
  chain: Uint8Array[] | undefined = [FakePeerConnection.certificate];
  stats = new Map<string, unknown>();
  connectionState = 'new';
  iceConnectionState = 'new';
  localDescription: { sdp: string } | null = null;
  remote: string | undefined;
  candidates: RTCIceCandidateInit[] = [];
  channels: FakeChannel[] = [];
  closed = false;
  receiver: Record<string, unknown> = { track: {} };
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  onicecandidateerror: ((event: { errorCode: number }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  oniceconnectionstatechange: (() => void) | null = null;

  constructor(public configuration: RTCConfiguration) {
    FakePeerConnection.all.push(this);
  }

  get sctp() {
    const { chain } = this;
    return {
      transport: chain ? { getRemoteCertificates: () => chain.map((der) => der.slice().buffer) } : {},
    };
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  addTransceiver() {
    return { receiver: this.receiver, setCodecPreferences: () => undefined };
  }

  createDataChannel(label: string, options: RTCDataChannelInit) {
    const channel = new FakeChannel(label, options);
    this.channels.push(channel);
    return channel;
  }

  async createOffer() {
    return { type: 'offer', sdp: `offer ${FakePeerConnection.all.indexOf(this)}` };
  }

  async setLocalDescription(description: { sdp: string }) {
    this.localDescription = description;
  }

  async setRemoteDescription({ sdp }: { sdp: string }) {
    this.remote = sdp;
  }

  async addIceCandidate(candidate: RTCIceCandidateInit) {
    this.candidates.push(candidate);
  }

  async getStats() {
    return this.stats;
  }

  close(): void {
    this.closed = true;
  }

  channel(label: string): FakeChannel {
    const found = this.channels.find((c) => c.label === label);
    if (!found) throw new Error(`no channel ${label}`);
    return found;
  }

  become(state: string): void {
    this.connectionState = this.iceConnectionState = state;
    if (state === 'connected') for (const channel of this.channels) channel.open();
    this.onconnectionstatechange?.();
  }

  /** The control messages that the viewer sent. */
  get control(): ToDesktop['body'][] {
    return this.channel('control').sent.map((bytes) => decode(ToDesktopSchema, bytes).body);
  }

  say(body: FromDesktopBody): void {
    const bytes = encode(FromDesktopSchema, create(FromDesktopSchema, { body }) as FromDesktop);
    this.channel('control').onmessage?.({ data: bytes.buffer });
  }
}
