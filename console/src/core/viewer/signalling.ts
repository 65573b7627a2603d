/**
 * Signalling is one viewer's part of the live socket: what it asks the relay for, and what
 * it hears of its own session and of its attempt of this moment. What belongs to an older
 * attempt, or to another viewer, is not handed on. A Problem answers what it names: an
 * attempt, an ask by its number, or else the session.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Live } from '../relay/live';
import type { OpenSession, Problem, SessionOpened } from '../wire/oriel/v1/live_pb';
import { Capability, Code, type Scope } from '../wire/oriel/v1/session_pb';
import type { Answer, Candidate, CandidateSchema, SessionEnded } from '../wire/oriel/v1/session_pb';

export interface SignallingEvents {
  /** There is no live socket any more. */
  disconnected(): void;
  /** The live socket is a new one. */
  reconnected(): void;
  /** The relay waits for the computer. */
  waiting(unreachable: boolean): void;
  opened(opened: SessionOpened): void;
  answered(answer: Answer): void;
  candidate(candidate: Candidate): void;
  /** Of the attempt, or of the session, which the relay does not have for this tab. */
  problem(problem: Problem): void;
  /** The change of scopes that was asked for last does not come about. */
  unchanged(problem: Pick<Problem, 'code' | 'detail'>): void;
  /** The relay has lost the session's agent. */
  agentLost(): void;
  ended(ended: SessionEnded): void;
  iceServers(): void;
}

type Opening = Pick<OpenSession, 'wanted' | 'sdp' | 'iceUserName'>;

export class Signalling {
  /** The attempt of this moment; 0: none. */
  attempt = 0;
  /** The session of this moment; '': none. */
  sessionId = '';
  #attach = 0; // the last such ask
  #change = 0;
  readonly #live: Live;
  readonly #computerId: string;
  readonly #stop: (() => void)[];

  constructor(live: Live, computerId: string, events: SignallingEvents) {
    this.#live = live;
    this.#computerId = computerId;
    const ours = (number: number) => this.attempt !== 0 && number === this.attempt;
    const session = (id: string) => id !== '' && id === this.sessionId;
    this.#stop = [
      live.reserve(),
      live.on('state', (state) => state === 'lost' && events.disconnected()),
      live.on('welcome', () => events.reconnected()),
      live.on('sessionWaiting', (v) => {
        if (ours(v.attempt) && v.computerId === computerId) events.waiting(v.unreachable);
      }),
      live.on('sessionOpened', (v) => ours(v.attempt) && events.opened(v)),
      live.on('answer', (v) => ours(v.attempt) && v.sessionId === this.sessionId && events.answered(v)),
      live.on('candidate', (v) => ours(v.attempt) && events.candidate(v)),
      live.on('problem', (v) => {
        if (v.attempt !== 0) return ours(v.attempt) && events.problem(v);
        if (v.replyTo !== 0 && v.replyTo === this.#change) return events.unchanged(v);
        // A session that runs on directly needs no tab; one that the relay does not know is over.
        const attach = v.replyTo !== 0 && v.replyTo === this.#attach && v.code === Code.NOT_FOUND;
        if (session(v.sessionId) && (v.replyTo === 0 || attach)) events.problem(v);
      }),
      live.on('agentLost', (v) => session(v.sessionId) && events.agentLost()),
      live.on('sessionEnded', (v) => session(v.sessionId) && events.ended(v)),
      live.on('iceServers', () => events.iceServers()),
    ];
  }

  get open(): boolean {
    return this.#live.state === 'open';
  }

  get iceServers(): Live['iceServers'] {
    return this.#live.iceServers;
  }

  /** How many of the relay's nodes may carry a session, as was said last. */
  get carriers(): number {
    return this.iceServers.filter(({ urls }) => urls.some((url) => url.startsWith('turn'))).length;
  }

  /** Asks for a session, or to go on with the one there is. */
  openSession(opening: Opening): void {
    const { attempt, sessionId } = this;
    const value = { ...opening, attempt, computerId: this.#computerId, sessionId };
    this.#live.send({ case: 'openSession', value });
  }

  /** Says on a new socket whose session it is. */
  attachSession(): void {
    this.#attach = this.#live.ask({ case: 'attachSession', value: { sessionId: this.sessionId } });
  }

  /** Whether the relay can change what a running session may do; undefined: it is away. */
  get changesScopes(): boolean | undefined {
    return this.open ? this.#live.can(Capability.CHANGE_SCOPES) : undefined;
  }

  /** Asks for other scopes in the running session. */
  changeScopes(wanted: readonly Scope[]): void {
    const value = { sessionId: this.sessionId, wanted: [...wanted] };
    this.#change = this.#live.ask({ case: 'changeScopes', value });
  }

  /** Ends the session, or another that was the viewer's; without one, a request that may wait. */
  closeSession(sessionId = this.sessionId): void {
    const value = sessionId ? { sessionId } : { attempt: this.attempt };
    if (sessionId || this.attempt > 0) this.#live.send({ case: 'closeSession', value });
  }

  trickle(value: MessageInitShape<typeof CandidateSchema>): void {
    this.#live.send({ case: 'candidate', value });
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }
}
