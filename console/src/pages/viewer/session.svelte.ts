/** One viewer as the page sees it: core/viewer/viewer.ts in runes. */
import { rememberedQuality, rememberQuality, type Quality } from '../../core/viewer/quality';
import { controlling, watching } from '../../core/viewer/scopes';
import type { ViewerStats } from '../../core/viewer/stats';
import type { Scale } from '../../core/viewer/stage';
import type { FirstUse } from '../../core/viewer/trust';
import type { Viewer, ViewerEvents, ViewerState } from '../../core/viewer/viewer';
import type { Lack } from '../../core/wire/oriel/v1/channel_pb';
import { Scope } from '../../core/wire/oriel/v1/session_pb';

export class Session {
  readonly viewer: Viewer;
  state = $state.raw<ViewerState>({ name: 'relay' });
  stats = $state.raw<ViewerStats>();
  scopes = $state.raw<readonly Scope[]>([]);
  unsteady = $state(false);
  /** Why the computer shows no display; undefined: it shows one. */
  displayGone = $state<string>();
  lacks = $state.raw<readonly Lack[]>([]);
  crowded = $state(false);
  moving = $state(false);
  /** The computer's key, when this browser had not seen it of this computer; undefined: it had, or it was compared. */
  newKey = $state.raw<FirstUse>();
  denied = $state(0); // counts, so that the same refusal twice is seen twice
  denial = $state(''); // why, as the computer says; may be empty
  /** Why the session may do what it could before, and no other; a new object each time. */
  unchanged = $state.raw<ViewerEvents['unchanged']>();
  dropped = $state(0); // likewise: input that came too late
  percent = $state(100);
  /** Whether the computer can send 4:4:4 to this browser; undefined: it has not said. */
  fullChroma = $state<boolean>();
  pressed = $state.raw<ReadonlySet<string>>(new Set());
  #quality = $state.raw(rememberedQuality());
  #scale = $state<Scale>('fit');
  #textMode = $state(false);

  /** onescape: the operator asked for the toolbar by keyboard. */
  constructor(viewer: Viewer, onescape: () => void) {
    this.viewer = viewer;
    this.state = viewer.state; // it may have begun before
    this.scopes = viewer.scopes;
    this.lacks = viewer.snapshot.lacks ?? [];
    this.crowded = viewer.snapshot.crowded ?? false;
    this.moving = viewer.snapshot.moving ?? false;
    ({ fullChroma: this.fullChroma, display: this.displayGone, newKey: this.newKey } = viewer.snapshot);
    viewer.setStream(this.#quality);
    viewer.on('state', (state) => (this.state = state));
    viewer.on('stats', (stats) => (this.stats = stats));
    viewer.on('scopes', (scopes) => (this.scopes = scopes));
    viewer.on('fullChroma', (can) => (this.fullChroma = can));
    viewer.on('unsteady', (silent) => (this.unsteady = silent));
    viewer.on('display', (why) => (this.displayGone = why));
    viewer.on('crowded', (crowded) => (this.crowded = crowded));
    viewer.on('moving', (moving) => (this.moving = moving));
    viewer.on('lacks', (lacks) => (this.lacks = lacks));
    viewer.on('newKey', (key) => (this.newKey = key));
    viewer.on('denied', ({ detail }) => {
      this.denied++;
      this.denial = detail;
    });
    viewer.on('unchanged', (why) => (this.unchanged = why));
    viewer.on('dropped', () => this.dropped++);
    viewer.on('layout', () => (this.percent = viewer.percent));
    viewer.on('escape', onescape);
  }

  get mayControl(): boolean {
    return this.scopes.includes(Scope.CONTROL);
  }

  get quality(): Quality {
    return this.#quality;
  }

  set quality(wish: Quality) {
    this.#quality = wish;
    rememberQuality(wish);
    this.viewer.setStream(wish);
  }

  get scale(): Scale {
    return this.#scale;
  }

  set scale(scale: Scale) {
    this.viewer.scale = scale;
    this.#scale = this.viewer.scale;
  }

  /** Gives control back, or asks for it, in the running session. */
  toggleControl(): void {
    this.viewer.change(this.mayControl ? watching : controlling);
  }

  get textMode(): boolean {
    return this.#textMode;
  }

  set textMode(on: boolean) {
    this.viewer.textMode = on;
    this.#textMode = on;
  }

  toggleKey(code: string): void {
    this.viewer.toggleKey(code);
    this.pressed = new Set(this.viewer.pressed);
  }

  sendKeys(chord: readonly string[]): void {
    this.viewer.sendKeys(chord);
    this.viewer.focus();
  }
}
