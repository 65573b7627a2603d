import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chromaOf, decodesFullChroma, rememberedQuality, rememberQuality } from './quality';
import { Preset } from '../wire/oriel/v1/channel_pb';

const nothing = { preset: Preset.UNSPECIFIED, maxFps: 0, maxKbps: 0 };

beforeEach(() => localStorage.clear());
afterEach(() => vi.unstubAllGlobals());

describe('the choice of a picture', () => {
  it('is Auto without caps until there is one, and then the last', () => {
    expect(rememberedQuality()).toEqual(nothing);
    const wish = { preset: Preset.SHARP, maxFps: 15, maxKbps: 2000 };
    rememberQuality(wish);
    expect(rememberedQuality()).toEqual(wish);
  });

  it.each(['{', 'null', '7', '[]', '"x"', '{"preset":9,"maxFps":-1,"maxKbps":"500"}', '{"maxFps":11}'])(
    'is none where the storage says %s',
    (kept) => {
      localStorage.setItem('oriel.picture', kept);
      expect(rememberedQuality()).toEqual(nothing);
    },
  );

  it('lasts as long as the page where there is no storage', () => {
    vi.stubGlobal('localStorage', undefined);
    rememberQuality({ preset: Preset.SPEED, maxFps: 0, maxKbps: 0 });
    expect(rememberedQuality()).toEqual(nothing);
  });
});

describe('4:4:4', () => {
  it.each([
    ['video/AV1', 'level-idx=5;profile=0;tier=0', '4:2:0'],
    ['video/AV1', undefined, '4:2:0'],
    ['video/AV1', 'level-idx=5;profile=1;tier=0', '4:4:4'],
    ['video/AV1', 'profile=2', undefined],
    ['video/VP9', 'profile-id=0', '4:2:0'],
    ['video/VP9', 'profile-id=1', '4:4:4'],
    ['video/VP9', 'profile-id=2', undefined],
    ['video/VP8', undefined, '4:2:0'],
    ['video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f', undefined],
    ['video/rtx', 'apt=45', undefined],
  ])('%s with %s is %s', (mimeType, fmtp, chroma) => expect(chromaOf(mimeType, fmtp)).toBe(chroma));

  it('can be shown where one codec has it', () => {
    const codecs: { mimeType: string; sdpFmtpLine?: string }[] = [{ mimeType: 'video/VP8' }];
    vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ codecs }) });
    expect(decodesFullChroma()).toBe(false);
    codecs.push({ mimeType: 'video/AV1', sdpFmtpLine: 'level-idx=5;profile=1;tier=0' });
    expect(decodesFullChroma()).toBe(true);
    vi.stubGlobal('RTCRtpReceiver', undefined);
    expect(decodesFullChroma()).toBe(false);
  });
});
