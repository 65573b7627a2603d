/**
 * One peer connection: one attempt of a session. It offers (video to receive
 * and the data channels), takes the answer, trickles candidates, and says
 * when it is connected and when it is lost. The viewer makes a new one for
 * every attempt; nobody else touches it.
 *
 * The offer was made before, and finds its ways into
 * the network when it is asked for: when the relay has been reached and has named its
 * STUN and TURN. One that was made with those does so already; what it found by then is
 * part of it.
 */
import { create } from '@bufbuild/protobuf';
import { encode } from '../frames';
import { decodePlain } from '../sanitize';
import { Again } from './again';
import { Held } from './held';
import { authenticated } from './certificate';
import { Channel, ChannelError, MAX_CHANNELS } from '../channels/channel';
import type { DesktopMessage } from './desktop-message';
import { PROTOCOL, type Offer } from './offer';
import { rtcServers } from '../relay/ice';
import {
  FromDesktopSchema,
  PointerMoveSchema,
  ToDesktopSchema,
  type FromDesktop,
} from '../wire/oriel/v1/channel_pb';
import { Code, type IceServer } from '../wire/oriel/v1/session_pb';

export interface PeerEvents {
  candidate(candidate: RTCIceCandidate | null): void;
  connected(): void;
  /** The network is silent; it may come back by itself. */
  unsteady(silent: boolean): void;
  /** For good: this connection is of no more use. Called once. */
  lost(): void;
  /** TURN refuses an allocation: a limit is reached (486). */
  crowded(): void;
  /** The other end is not the computer that answered; nothing follows. */
  forged(): void;
  message(message: FromDesktop): void;
}

const PATIENCE = 2_000; // ms of 'disconnected' before the connection counts as lost
const CONNECT_TIMEOUT = 15_000; // ms from the answer
const CLOSE_TIMEOUT = 1_000; // ms that the other side has to close
const GATHER_ALONE = 250; // ms without any candidate where there is no network; see offer.ts
// Moves are worth nothing when they are late: better none than a queue.
const POINTER_BACKLOG = 4_096;
const ALLOCATION_QUOTA = 486; // RFC 8656
const MAX_UNREAD = 64; // messages before the other end is authenticated

export class Peer {
  /**
   * The picture. To be given to an element at once, before anything arrives:
   * what is decoded for nobody is dropped, and the first picture of a still
   * screen is the only one.
   */
  readonly stream: MediaStream;
  #pc: RTCPeerConnection;
  #configuration: RTCConfiguration;
  #description: Offer['description'];
  #pointer: RTCDataChannel;
  #control: RTCDataChannel;
  #again: Again;
  #held: Held;
  #channels = new Set<Channel>(); // beside those of the offer
  #events: PeerEvents;
  #early: RTCIceCandidateInit[] | undefined = []; // until the answer is set
  #fingerprint = new Uint8Array(); // of the computer's certificate, from the answer on
  #authentic: 'unknown' | 'asked' | 'yes' = 'unknown';
  #unread: ArrayBuffer[] = []; // until it is
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #leaving = false;
  #connected = false;
  #silent = false;
  #gathers = false; // something was gathered
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #began = performance.now();

  constructor(offer: Offer, events: PeerEvents) {
    this.#events = events;
    this.#pc = offer.pc;
    this.#configuration = offer.configuration;
    this.#description = offer.description;
    this.stream = offer.stream;
    this.#pointer = offer.pointer;
    this.#again = new Again(offer.again, () => this.#lost());
    this.#held = new Held(offer.again, (body) => this.send(body));
    this.#control = offer.control;
    this.#control.binaryType = 'arraybuffer';
    this.#listen();
  }

  /** Starts gathering and returns the session description to send. */
  async offer(servers: IceServer[]): Promise<string> {
    const description = await this.#description;
    if (description) {
      this.#configuration = { ...this.#configuration, iceServers: rtcServers(servers) };
      this.#pc.setConfiguration(this.#configuration);
      await this.#pc.setLocalDescription(description);
    }
    if (!navigator.onLine && !this.#closed && !this.#gathers)
      this.#gathering = setTimeout(() => this.#lose(), GATHER_ALONE);
    return this.#pc.localDescription?.sdp ?? '';
  }

  /** Of the TURN credentials that it has; the relay makes them the session's. */
  get iceUserName(): string {
    return this.#configuration.iceServers?.[0]?.username ?? '';
  }

  /** Takes an answer that was verified, and the certificate that it has to come to (SHA-256). */
  async answer(sdp: string, fingerprint: Uint8Array): Promise<void> {
    this.#fingerprint = Uint8Array.from(fingerprint);
    this.#timer = setTimeout(() => this.#lose(), CONNECT_TIMEOUT);
    await this.#pc.setRemoteDescription({ type: 'answer', sdp });
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const candidate of early) this.addCandidate(candidate);
  }

  addCandidate(candidate: RTCIceCandidateInit): void {
    if (this.#early) {
      if (this.#early.length < 256) this.#early.push(candidate);
      return;
    }
    // A candidate that this browser does not understand is one way less, no more.
    this.#pc.addIceCandidate(candidate).catch((error: unknown) => console.debug('candidate', error));
  }

  /** Whether messages may be sent: the other end is there, and is the computer. */
  get open(): boolean {
    return this.#authentic === 'yes' && this.#control.readyState === 'open';
  }

  send(body: DesktopMessage): boolean {
    if (!this.open) return false;
    const at = Math.ceil(performance.now() - this.#began) + 1; // 0 would be none
    const message = create(ToDesktopSchema, { body, at });
    this.#again.note(message);
    this.#held.note(message);
    this.#control.send(encode(ToDesktopSchema, message));
    return true;
  }

  move(seq: number, x: number, y: number): void {
    if (this.#pointer.readyState !== 'open' || this.#pointer.bufferedAmount > POINTER_BACKLOG) return;
    this.#pointer.send(encode(PointerMoveSchema, create(PointerMoveSchema, { seq, x, y })));
  }

  /** Opens a channel beside; it ends with this connection at the latest. */
  channel(label: string): Channel {
    if (!this.open) throw new ChannelError(Code.UNAVAILABLE, 'there is no connection to the computer');
    if (this.#channels.size >= MAX_CHANNELS)
      throw new ChannelError(Code.BUSY, `${MAX_CHANNELS} channels are open; close one first`);
    const pipe = this.#pc.createDataChannel(label, { protocol: PROTOCOL });
    const channel = new Channel(
      pipe,
      () => this.#channels.delete(channel),
      () => this.#channels.size,
    );
    this.#channels.add(channel);
    return channel;
  }

  /** How many packets of the picture were asked for again. */
  async #lost(): Promise<number> {
    const [receiver] = this.#pc.getReceivers();
    let lost = NaN; // before the first packet
    for (const entry of ((await receiver?.getStats()) ?? new Map<string, unknown>()).values()) {
      const { type, nackCount } = entry as { type: string; nackCount?: number };
      if (type === 'inbound-rtp') lost = nackCount ?? NaN;
    }
    return lost;
  }

  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#gathering);
    if (this.#leaving) return;
    clearTimeout(this.#timer);
    this.#again.stop();
    this.#held.stop();
    for (const channel of this.#channels) channel.lose();
    this.#pc.close();
  }

  /**
   * Closes when the other side has, which has heard what was sent by then, or
   * after CLOSE_TIMEOUT; then calls done. Says nothing more meanwhile.
   */
  gracefulClose(done: () => void): void {
    this.#closed = this.#leaving = true;
    clearTimeout(this.#timer);
    const close = () => {
      if (!this.#leaving) return;
      this.#leaving = false;
      this.close();
      done();
    };
    this.#timer = setTimeout(close, CLOSE_TIMEOUT);
    this.#control.onclose = close;
  }

  #listen(): void {
    const pc = this.#pc;
    const events = this.#events;
    pc.onicecandidate = (e) => {
      this.#gathers = true;
      clearTimeout(this.#gathering);
      if (!this.#closed) events.candidate(e.candidate);
    };
    pc.onicecandidateerror = (e) => this.#refused(e.errorCode);
    pc.onconnectionstatechange = pc.oniceconnectionstatechange = () => this.#changed();
    this.#control.onopen = () => this.#changed();
    this.#control.onclose = () => this.#lose();
    this.#control.onmessage = (e) => this.#receive(e.data);
  }

  #refused(errorCode: number): void {
    if (!this.#closed && errorCode === ALLOCATION_QUOTA) this.#events.crowded();
  }

  #changed(): void {
    if (this.#closed) return;
    const { connectionState, iceConnectionState } = this.#pc;
    if (connectionState === 'failed' || connectionState === 'closed' || iceConnectionState === 'failed')
      return this.#lose();
    if (connectionState === 'disconnected' || iceConnectionState === 'disconnected') {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#lose(), PATIENCE);
      return this.#connected ? this.#tellSilence(true) : undefined;
    }
    if (connectionState !== 'connected' || this.#control.readyState !== 'open') return;
    if (this.#authentic !== 'yes') return this.#authenticate();
    clearTimeout(this.#timer);
    if (this.#connected) return this.#tellSilence(false);
    this.#connected = true;
    this.#held.begin();
    this.#events.connected();
  }

  #authenticate(): void {
    if (this.#authentic === 'asked') return;
    this.#authentic = 'asked';
    const authentic = authenticated(this.#pc, this.#fingerprint);
    if (typeof authentic === 'boolean') return this.#authenticated(authentic);
    authentic.then(
      (so) => this.#authenticated(so),
      (error: unknown) => {
        console.error('certificate', error);
        this.#lose();
      },
    );
  }

  #authenticated(so: boolean): void {
    if (this.#closed) return;
    if (!so) {
      this.close();
      return this.#events.forged();
    }
    this.#authentic = 'yes';
    this.#changed();
    for (const data of this.#unread.splice(0)) this.#receive(data);
  }

  #tellSilence(silent: boolean): void {
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#events.unsteady(silent);
  }

  #receive(data: unknown): void {
    if (this.#closed || !(data instanceof ArrayBuffer)) return;
    if (this.#authentic !== 'yes') {
      if (this.#unread.push(data) > MAX_UNREAD) this.#lose();
      return;
    }
    let message: FromDesktop;
    try {
      message = decodePlain(FromDesktopSchema, new Uint8Array(data));
    } catch (error) {
      console.error('control: bad message', error);
      return this.#lose();
    }
    this.#events.message(message);
  }

  #lose(): void {
    if (this.#closed) return;
    this.close();
    this.#events.lost();
  }
}
