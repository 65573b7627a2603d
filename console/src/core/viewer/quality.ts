/** What the operator wants of the picture, kept by this browser, and what this browser can show. */
import { Preset } from '../wire/oriel/v1/channel_pb';

export interface Quality {
  preset: Preset;
  /** Pictures a second at most; 0: no cap. */
  maxFps: number;
  /** Thousands of bits a second at most; 0: no cap. */
  maxKbps: number;
}

export const PRESETS = [Preset.UNSPECIFIED, Preset.SPEED, Preset.BALANCED, Preset.SHARP] as const;
export const FPS_CAPS = [0, 10, 15, 30] as const;
export const KBPS_CAPS = [0, 500, 1000, 2000, 5000] as const;

const NAME = 'oriel.picture';

/** The last choice made in this browser; of what cannot be chosen (any more), the first. */
export function rememberedQuality(): Quality {
  let kept: Record<string, unknown> = {};
  try {
    kept = Object(JSON.parse(localStorage.getItem(NAME) ?? '{}'));
  } catch {
    // Without storage, or with a stranger's words in it, there was no choice.
  }
  return {
    preset: PRESETS.find((p) => p === kept['preset']) ?? PRESETS[0],
    maxFps: FPS_CAPS.find((c) => c === kept['maxFps']) ?? 0,
    maxKbps: KBPS_CAPS.find((c) => c === kept['maxKbps']) ?? 0,
  };
}

export function rememberQuality(wish: Quality): void {
  try {
    localStorage.setItem(NAME, JSON.stringify(wish));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** How a codec of WebRTC keeps colours, by its profile; undefined: not one of ours. */
export function chromaOf(mimeType: string, fmtp: string | undefined): '4:2:0' | '4:4:4' | undefined {
  const codec = /^video\/(AV1|VP9|VP8)$/i.exec(mimeType)?.[1]?.toUpperCase();
  const profile = /(?:^|;)\s*profile(?:-id)?=(\d+)/.exec(fmtp ?? '')?.[1] ?? '0';
  if (codec === 'VP8' || (codec && profile === '0')) return '4:2:0';
  return codec && profile === '1' ? '4:4:4' : undefined;
}

/** Whether this browser decodes 4:4:4 of any codec. */
export function decodesFullChroma(): boolean {
  const codecs = globalThis.RTCRtpReceiver?.getCapabilities('video')?.codecs ?? [];
  return codecs.some((c) => chromaOf(c.mimeType, c.sdpFmtpLine) === '4:4:4');
}
