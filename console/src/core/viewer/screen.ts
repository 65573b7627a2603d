/**
 * RemoteScreen is what of a viewer is on this side of the connection: the picture and
 * the cursor on their stage, keyboard, mouse and fingers. viewer.ts says when input may
 * go out, and carries it.
 */
import { Emitter } from '../emitter';
import { RemoteCursor } from './cursor';
import type { DesktopMessage } from './desktop-message';
import { Keyboard } from './keyboard';
import type { Chord } from './keys';
import { Pointer } from './pointer';
import { PresentationDelay } from './presentation';
import { Stage, type Place, type Scale } from './stage';
import type { ViewerEvents } from './viewer-events';

const TEXT_POINTS = 1000; // of one message: at most 4096 bytes, and a code point takes at most 4

export abstract class RemoteScreen extends Emitter<ViewerEvents> {
  protected readonly stage = new Stage();
  protected readonly cursor = new RemoteCursor(this.stage);
  protected readonly delay = new PresentationDelay(this.stage.video);
  readonly #keyboard: Keyboard;
  readonly #pointer: Pointer;
  #seq = 0; // of moves and presses, which go on two channels

  constructor() {
    super();
    this.stage.onlayout = () => {
      this.cursor.draw();
      this.emit('layout', undefined);
    };
    this.#keyboard = new Keyboard(this.stage.root, this.stage.field, {
      key: (usage, down, more) => this.#input({ case: 'key', value: { usage, down, ...more } }),
      text: (text) => this.sendText(text),
      releaseAll: () => this.#input({ case: 'releaseAll', value: {} }),
      escape: () => this.emit('escape', undefined),
    });
    this.#pointer = new Pointer(this.stage, {
      move: (place) => this.#move(place),
      button: (button, down, { x, y }) =>
        this.#input({ case: 'button', value: { button, down, x, y, seq: ++this.#seq } }),
      wheel: (dx, dy, { x, y }) => this.#input({ case: 'wheel', value: { dx, dy, x, y } }),
      mouse: (here) => this.cursor.setMouse(here),
    });
  }

  /** Whether the computer is there to take input. */
  protected abstract get takesInput(): boolean;
  /** Whether the grant has the scope for it. */
  protected abstract get mayControl(): boolean;
  protected abstract sendInput(body: DesktopMessage): void;
  protected abstract sendMove(seq: number, place: Place): void;

  /** Shows the picture in an element, once there is one; label is what a screen reader calls it. */
  moveTo(target: HTMLElement, label: string): void {
    this.stage.moveTo(target, label);
  }

  get scale(): Scale {
    return this.stage.scale;
  }

  set scale(scale: Scale) {
    this.stage.scale = scale;
  }

  get percent(): number {
    return this.stage.percent;
  }

  get size(): { width: number; height: number } {
    return this.stage.size;
  }

  get textMode(): boolean {
    return this.#keyboard.textMode;
  }

  set textMode(on: boolean) {
    this.#keyboard.releaseAll();
    this.#keyboard.textMode = on;
    this.focus();
  }

  get pressed(): ReadonlySet<string> {
    return this.#keyboard.pressed;
  }

  /** Measures when every picture is shown, and not only one now and then; for whoever looks at the figures. */
  set measuring(on: boolean) {
    this.delay.every = on;
  }

  focus(): void {
    const { root, field } = this.stage;
    (this.#keyboard.textMode ? field : root).focus({ preventScroll: true });
  }

  /** Presses and releases keys that the browser would keep for itself. */
  sendKeys(chord: Chord): void {
    this.#keyboard.send(chord);
  }

  /** Presses or releases one key by itself. Returns whether it is down now. */
  toggleKey(code: string): boolean {
    return this.#keyboard.toggle(code);
  }

  /** Types text as it is, whatever the remote layout. */
  sendText(text: string): void {
    const points = [...text];
    for (let i = 0; i < points.length; i += TEXT_POINTS)
      this.#input({ case: 'text', value: { text: points.slice(i, i + TEXT_POINTS).join('') } });
  }

  protected show(stream: MediaStream): void {
    const { video } = this.stage;
    video.srcObject = stream;
    video.play().catch(() => undefined); // muted video may play; if it may not, nothing else helps
  }

  protected releaseAll(): void {
    this.#pointer.releaseAll();
    this.#keyboard.releaseAll();
  }

  protected releaseKeys(): void {
    this.#keyboard.releaseAll();
  }

  /** After every change of what may be sent. */
  protected allowInput(): void {
    const may = this.takesInput;
    this.#keyboard.enabled = this.#pointer.enabled = may;
    this.cursor.controls = may && this.mayControl;
    this.cursor.draw();
  }

  protected closeScreen(): void {
    this.#keyboard.close();
    this.#pointer.close();
    this.cursor.close();
    this.delay.close();
    this.stage.close();
  }

  #move(place: Place): void {
    if (!this.takesInput || !this.mayControl) return;
    this.cursor.follow(place);
    this.sendMove(++this.#seq, place);
  }

  // Keys and buttons go out even without the scope: the agent's refusal is what the operator is told.
  #input(body: DesktopMessage): void {
    if (this.takesInput) this.sendInput(body);
  }
}
