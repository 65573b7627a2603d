/**
 * What a peer connection (peer.ts) begins with, and what needs no word of the
 * protocol: the video to receive, the data channels, and the offer of them. It finds
 * no ways into the network yet, unless the relay's STUN and TURN are known already.
 * A tab's first one takes Chromium 30 to 60 ms.
 *
 * Where loopback is the only network (navigator.onLine is false then, and the relay on
 * this machine) Chromium gathers nothing, and says nothing, unless it knows that there is
 * no network when it starts to gather, and starts before it knows whether cameras are
 * allowed (blink's IpcNetworkManager and FilteringNetworkManager, Chromium 156). A page's
 * first connection never does. Those after it do, if they gather from the beginning: a
 * pool of candidates makes them, and peer.ts makes another one soon.
 */
import { rtcServers, type Servers } from '../relay/ice';

export interface OfferOptions {
  /** Tests force the way through TURN. */
  relayOnly?: boolean;
  /** 'AV1', 'VP9' …: offered alone; otherwise all that agents have. */
  codec?: string;
}

export interface Offer {
  pc: RTCPeerConnection;
  configuration: RTCConfiguration;
  stream: MediaStream;
  pointer: RTCDataChannel;
  again: RTCDataChannel;
  control: RTCDataChannel;
  /** To be set when the relay has named its servers; undefined: they were known, it is set. */
  description: Promise<RTCSessionDescriptionInit | undefined>;
}

export const PROTOCOL = 'oriel.v1';

// What agents have. All that a browser knows makes the offer twice as long, which a slow
// link takes 20 ms for; of the profiles they have the first, and the one of 4:4:4.
const CODECS = ['av1', 'vp9', 'vp8'];

export function makeOffer(options: OfferOptions, servers?: Servers[]): Offer {
  const configuration: RTCConfiguration = {
    iceTransportPolicy: options.relayOnly ? 'relay' : 'all',
    bundlePolicy: 'max-bundle',
    ...(!navigator.onLine && { iceCandidatePoolSize: 1 }),
    ...(servers && { iceServers: rtcServers(servers) }),
  };
  const pc = new RTCPeerConnection(configuration);
  const { receiver } = addVideo(pc, options.codec);
  // The newest picture at once, no smoothing. Browsers know one of the two names.
  const eager = receiver as RTCRtpReceiver & { playoutDelayHint?: number; jitterBufferTarget?: number };
  eager.jitterBufferTarget = 0;
  eager.playoutDelayHint = 0;
  const lossy = { ordered: false, maxRetransmits: 0, protocol: PROTOCOL };
  const pointer = pc.createDataChannel('pointer', lossy);
  const again = pc.createDataChannel('again', lossy);
  const control = pc.createDataChannel('control', { protocol: PROTOCOL });
  const offered = pc.createOffer();
  const set = (offer: RTCSessionDescriptionInit) => pc.setLocalDescription(offer).then(() => undefined);
  const description = servers ? offered.then(set) : offered;
  description.catch(() => undefined); // told to whoever asks
  return {
    pc,
    configuration,
    stream: new MediaStream([receiver.track]),
    pointer,
    again,
    control,
    description,
  };
}

function addVideo(pc: RTCPeerConnection, codec: string | undefined): RTCRtpTransceiver {
  const transceiver = pc.addTransceiver('video', { direction: 'recvonly' });
  const wanted = codec ? [codec.toLowerCase()] : CODECS;
  const known = globalThis.RTCRtpReceiver?.getCapabilities('video')?.codecs ?? [];
  const chosen = known.filter(({ mimeType, sdpFmtpLine = '' }) => {
    const name = mimeType.toLowerCase().replace('video/', '');
    if (name === 'rtx' || name === 'flexfec-03') return true;
    return wanted.includes(name) && !/profile(-id)?=[2-9]/.test(sdpFmtpLine);
  });
  if (chosen.some((c) => wanted.includes(c.mimeType.toLowerCase().replace('video/', ''))))
    transceiver.setCodecPreferences(chosen);
  return transceiver;
}
