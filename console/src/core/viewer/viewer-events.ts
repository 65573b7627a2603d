/** What a viewer says of itself (core/viewer/viewer.ts). */
import type { Offer, OfferOptions } from './offer';
import type { ViewerStats } from './stats';
import type { Pins } from './pins';
import type { FirstUse, KeyChange } from './trust';
import type { Lack } from '../wire/oriel/v1/channel_pb';
import type { Code, EndReason, Scope } from '../wire/oriel/v1/session_pb';

export interface ViewerOptions extends OfferOptions {
  computerId: string;
  /** Where computers' keys are remembered; otherwise in this browser. */
  pins?: Pins;
  /** Asks for a session that may look and no more. */
  viewOnly?: boolean;
  /** Made before, with these options: the first attempt's. */
  offer?: Offer | undefined;
}

export type ViewerState =
  | { name: 'relay' } // waits for the live socket
  | { name: 'asking' } // has offered
  | { name: 'offline' } // waits for the computer
  | { name: 'apart' } // the computer is connected to a node of the relay that cannot be reached: waits
  // Its agent stopped under a session, is stopping, or (silent) went without a word: waits for it.
  | { name: 'away'; silent: boolean }
  | { name: 'connecting' } // the relay has introduced the two
  | { name: 'connected' } // no picture yet; there may be no display
  | { name: 'live' } // the picture is shown
  | { name: 'resuming' } // the connection was lost, a new one is on its way
  | ({ name: 'changed' } & KeyChange) // the computer's key is another one
  | { name: 'forged' } // the answer does not prove that it is the computer's
  | { name: 'ended'; reason: EndReason; code: Code; detail: string };

export type Timer = ReturnType<typeof setTimeout> | undefined;

const isOne =
  (...names: ViewerState['name'][]) =>
  (state: ViewerState) =>
    names.includes(state.name);
/** On the way to a session. */
export const underWay = isOne('asking', 'offline', 'apart', 'connecting', 'resuming');
export const waitsForComputer = isOne('offline', 'apart', 'away');
/** Nothing follows by itself. */
export const final = isOne('ended', 'changed', 'forged');

export interface ViewerEvents {
  state: ViewerState;
  /** Scopes of the grant; control is or is not among them. */
  scopes: readonly Scope[];
  /** Once a second while live. */
  stats: ViewerStats;
  /** The agent refused something that the grant does not allow. */
  denied: { scope: Scope; detail: string };
  /** Scopes that were asked for in the running session did not come, or those given back are still there. */
  unchanged: { why: 'relay-away' | 'relay-old' | 'refused'; detail: string };
  /** Input came too late and was not carried out. */
  dropped: undefined;
  /** The computer's display went away (with the reason) or came back (undefined). */
  display: string | undefined;
  /** The network is silent (true), or speaks again. */
  unsteady: boolean;
  /** Size or scale of the picture changed. */
  layout: undefined;
  /** The operator asked for the toolbar by keyboard. */
  escape: undefined;
  /** What the computer's display cannot do, or not well. */
  lacks: readonly Lack[];
  /** Whether the computer can send 4:4:4 to this browser, as soon as it says so. */
  fullChroma: boolean;
  /** This browser has not seen the key from this computer before. */
  newKey: FirstUse;
  /** The relay refused to relay more, so that a direct way is all there is to find. */
  crowded: boolean;
  /** The connection was lost with the node of the relay that carried it, and another is to carry it. */
  moving: boolean;
  /** The first picture of this page is on the screen. */
  picture: undefined;
}

/** What is said again to whoever begins to listen later. */
export type Snapshot = Partial<
  Pick<ViewerEvents, 'fullChroma' | 'display' | 'lacks' | 'newKey' | 'crowded' | 'moving'>
>;
