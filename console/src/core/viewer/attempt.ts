/**
 * Attempt is one try at a session: the viewer's number for it, its peer connection, and
 * what the relay said when it opened the session. Its own candidates wait until then,
 * as they are sent under the session's id.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Peer } from './peer';
import type { SessionOpened } from '../wire/oriel/v1/live_pb';
import type { Candidate, CandidateSchema } from '../wire/oriel/v1/session_pb';

const OLD = 3_600_000; // ms

export class Attempt {
  readonly number: number;
  readonly peer: Peer;
  /** A picture of its own was shown. */
  pictured = false;
  readonly #send: (candidate: MessageInitShape<typeof CandidateSchema>) => void;
  readonly #began = Date.now();
  #opened: SessionOpened | undefined;
  #held: (RTCIceCandidate | null)[] = []; // until the session is open

  constructor(
    number: number,
    peer: Peer,
    send: (candidate: MessageInitShape<typeof CandidateSchema>) => void,
  ) {
    this.number = number;
    this.peer = peer;
    this.#send = send;
  }

  /** What the relay opened the session with; undefined before. */
  get opened(): SessionOpened | undefined {
    return this.#opened;
  }

  /** It waits for so long that its ways into the network may be others by now. */
  get old(): boolean {
    return !this.#opened && Date.now() - this.#began > OLD;
  }

  /** The relay has opened the session: the candidates that waited are sent. */
  open(opened: SessionOpened): void {
    this.#opened = opened;
    for (const candidate of this.#held.splice(0)) this.trickle(candidate);
  }

  /** Sends a candidate of this browser's; null is the end of them. */
  trickle(candidate: RTCIceCandidate | null): void {
    if (!this.#opened) return void this.#held.push(candidate);
    this.#send({
      attempt: this.number,
      sessionId: this.#opened.sessionId,
      candidate: candidate?.candidate ?? '',
      sdpMid: candidate?.sdpMid ?? '',
      sdpMLineIndex: candidate?.sdpMLineIndex ?? 0,
      usernameFragment: candidate?.usernameFragment ?? '',
    });
  }

  /** Takes a candidate of the computer's. */
  add({ candidate, sdpMid, sdpMLineIndex, usernameFragment }: Candidate): void {
    if (candidate === '') return;
    this.peer.addCandidate({
      candidate,
      sdpMid: sdpMid || null,
      sdpMLineIndex,
      usernameFragment: usernameFragment || null,
    });
  }
}
