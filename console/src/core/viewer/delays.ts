/** How long pictures take, stage by stage, from the screen there to the screen here. */
import type { ViewerStats } from './stats';

/** In the order of the way. */
export const STAGES = ['capture', 'convert', 'encode', 'network', 'wait', 'decode', 'shown'] as const;
export type Stage = (typeof STAGES)[number];
/** Means in ms; undefined: not measured. */
export type Delays = Record<Stage, number | undefined>;

/** Microseconds of the stages as agent and relay tell them; 0 and undefined: not measured. */
interface Told {
  captureUs: number | undefined;
  convertUs: number | undefined;
  encodeUs: number | undefined;
  queueUs: number | undefined;
  roundTripUs: number | undefined;
  waitUs?: number | undefined;
  decodeUs?: number | undefined;
  shownUs?: number | undefined;
}

export function delaysTold(told: Told): Delays {
  const { captureUs, convertUs, encodeUs, queueUs, roundTripUs, waitUs, decodeUs, shownUs } = told;
  return {
    capture: ms(captureUs),
    convert: ms(convertUs),
    encode: ms(encodeUs),
    network: roundTripUs ? (roundTripUs / 2 + (queueUs ?? 0)) / 1000 : undefined,
    wait: ms(waitUs),
    decode: ms(decodeUs),
    shown: ms(shownUs),
  };
}

/** Those of the last second. While nothing moves, only the network has one. */
export function delaysOf({ agent, decoded, roundTripMs, jitterMs, decodeMs, shownMs }: ViewerStats): Delays {
  const here = decoded > 0;
  return {
    ...delaysTold({
      captureUs: agent?.captureUs,
      convertUs: agent?.convertUs,
      encodeUs: agent?.encodeUs,
      queueUs: agent?.queueUs,
      roundTripUs: roundTripMs && roundTripMs * 1000,
    }),
    wait: here ? jitterMs : undefined,
    decode: here ? decodeMs : undefined,
    shown: shownMs,
  };
}

/**
 * About how old a picture is when it is seen: the sum of what is known.
 * Undefined where one of the stages that make the most of it is not.
 */
export function age(d: Delays): number | undefined {
  if (d.encode === undefined || d.network === undefined || d.decode === undefined) return undefined;
  return STAGES.reduce((sum, stage) => sum + (d[stage] ?? 0), 0);
}

/** Adds up the viewer's own stages, for the journal. */
export class Tally {
  #looks = 0;
  #frames = 0;
  #wait = 0;
  #decode = 0;
  #shown = 0;
  #withShown = 0; // of the frames

  /** How often it was added to since the last take. */
  get looks(): number {
    return this.#looks;
  }

  get lacksShown(): boolean {
    return this.#withShown === 0;
  }

  add({ decoded, jitterMs, decodeMs, shownMs }: ViewerStats): void {
    this.#looks++;
    this.#frames += decoded;
    this.#wait += jitterMs * decoded;
    this.#decode += decodeMs * decoded;
    if (shownMs === undefined) return;
    const shown = Math.max(decoded, 1); // it may have been decoded before the look
    this.#shown += shownMs * shown;
    this.#withShown += shown;
  }

  /** A picture that was shown after the last look. */
  addShown(ms: number | undefined): void {
    if (ms === undefined) return;
    this.#shown += ms;
    this.#withShown++;
  }

  /** What to tell, and begins anew; undefined if there was no picture. */
  take(): { frames: number; waitUs: number; decodeUs: number; shownUs: number } | undefined {
    const frames = this.#frames;
    const us = (sum: number, of: number) =>
      of > 0 ? Math.min(Math.round((sum / of) * 1000), 60_000_000) : 0;
    const told = {
      frames,
      waitUs: us(this.#wait, frames),
      decodeUs: us(this.#decode, frames),
      shownUs: us(this.#shown, this.#withShown),
    };
    this.#looks = this.#frames = this.#wait = this.#decode = this.#shown = this.#withShown = 0;
    return frames > 0 ? told : undefined;
  }
}

const ms = (us: number | undefined) => (us ? us / 1000 : undefined);
