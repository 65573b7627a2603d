import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakePeerConnection, FakeStream } from '../fakes';
import { makeOffer, type OfferOptions } from './offer';

const codec = (mimeType: string, sdpFmtpLine?: string) => ({ mimeType, sdpFmtpLine });
const known = [
  codec('video/VP8'),
  codec('video/rtx'),
  codec('video/VP9', 'profile-id=0'),
  codec('video/VP9', 'profile-id=1'),
  codec('video/VP9', 'profile-id=2'),
  codec('video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f'),
  codec('video/AV1', 'level-idx=5;profile=0;tier=0'),
  codec('video/AV1', 'level-idx=5;profile=1;tier=0'),
  codec('video/red'),
  codec('video/ulpfec'),
  codec('video/flexfec-03'),
];
const setCodecPreferences = vi.fn();

/** What is offered, by name and profile; undefined: whatever the browser likes. */
function offered(codecs: typeof known | undefined, options: OfferOptions = {}) {
  vi.stubGlobal('RTCRtpReceiver', codecs && { getCapabilities: () => ({ codecs }) });
  setCodecPreferences.mockClear();
  makeOffer(options);
  const chosen = setCodecPreferences.mock.lastCall?.[0] as typeof known | undefined;
  return chosen?.map((c) =>
    `${c.mimeType} ${/profile(?:-id)?=\d/.exec(c.sdpFmtpLine ?? '')?.[0] ?? ''}`.trim(),
  );
}

beforeEach(() => {
  vi.stubGlobal('RTCPeerConnection', FakePeerConnection);
  vi.stubGlobal('MediaStream', FakeStream);
  vi.spyOn(FakePeerConnection.prototype, 'addTransceiver').mockReturnValue({
    receiver: { track: {} },
    setCodecPreferences,
  });
});
afterEach(() => void vi.unstubAllGlobals());

it('offers what agents have: three codecs, in 4:2:0 and 4:4:4, what is sent again, and parity', () => {
  expect(offered(known)).toEqual([
    'video/VP8',
    'video/rtx',
    'video/VP9 profile-id=0',
    'video/VP9 profile-id=1',
    'video/AV1 profile=0',
    'video/AV1 profile=1',
    'video/flexfec-03',
  ]);
});

it('offers one codec alone where that is asked for', () => {
  expect(offered(known, { codec: 'AV1' })).toEqual([
    'video/rtx',
    'video/AV1 profile=0',
    'video/AV1 profile=1',
    'video/flexfec-03',
  ]);
});

it('offers what there is where there is none of these, or nobody says', () => {
  expect(offered([codec('video/rtx'), codec('video/H264')])).toBeUndefined();
  expect(offered(known, { codec: 'H265' })).toBeUndefined();
  expect(offered(undefined)).toBeUndefined();
});
