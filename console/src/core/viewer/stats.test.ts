import { describe, expect, it } from 'vitest';
import { StatsReader } from './stats';

type Entry = { id: string; type: string } & Record<string, unknown>;
const report = (...entries: Entry[]) => new Map(entries.map((e) => [e.id, e])) as unknown as RTCStatsReport;

const video = (at: number, more: object): Entry => ({
  id: 'v',
  type: 'inbound-rtp',
  kind: 'video',
  timestamp: at,
  codecId: 'c',
  frameWidth: 1920,
  frameHeight: 1080,
  ...more,
});
const codec: Entry = { id: 'c', type: 'codec', mimeType: 'video/AV1' };
const pair: Entry = {
  id: 'p',
  type: 'candidate-pair',
  state: 'succeeded',
  nominated: true,
  localCandidateId: 'l',
  remoteCandidateId: 'r',
  currentRoundTripTime: 0.0123,
};
const remote: Entry = { id: 'r', type: 'remote-candidate', candidateType: 'host' };

describe('StatsReader', () => {
  it('tells the figures of the time between two looks', () => {
    const reader = new StatsReader();
    const local: Entry = { id: 'l', type: 'local-candidate', candidateType: 'srflx' };
    const first = {
      bytesReceived: 1000,
      packetsReceived: 10,
      packetsLost: 1,
      framesDecoded: 5,
      totalDecodeTime: 1,
    };
    reader.read(report(video(1000, first), codec, pair, local, remote), undefined);
    const second = {
      bytesReceived: 126_000,
      packetsReceived: 109,
      packetsLost: 2,
      framesDecoded: 35,
      totalDecodeTime: 1.12,
      jitterBufferDelay: 0.3,
      jitterBufferEmittedCount: 30,
    };
    const stats = reader.read(report(video(2000, second), codec, pair, local, remote), undefined);
    expect(stats).toMatchObject({
      path: 'direct',
      codec: 'AV1',
      fps: 30,
      kbps: 1000,
      width: 1920,
      lossPercent: 1,
    });
    expect(stats.roundTripMs).toBeCloseTo(12.3);
    expect(stats.decodeMs).toBeCloseTo(4);
    expect(stats.decoded).toBe(30);
    expect(stats.jitterMs).toBeCloseTo(10);
  });

  it('counts from the first look, though there was no video yet', () => {
    const reader = new StatsReader();
    reader.read(report({ ...pair, timestamp: 1_000_000 }), undefined);
    const first = video(1_001_000, { framesDecoded: 3, bytesReceived: 1000 });
    expect(reader.read(report(first, pair), undefined)).toMatchObject({ decoded: 3, fps: 3, kbps: 8 });
  });

  it.each(['udp', 'tcp', 'tls'])('knows a way through the relay by %s', (relayProtocol) => {
    const local: Entry = { id: 'l', type: 'local-candidate', candidateType: 'relay', relayProtocol };
    const stats = new StatsReader().read(report(pair, local, remote), undefined);
    expect(stats).toMatchObject({ path: 'relayed', relayProtocol });
  });

  it('prefers the pair that the transport names', () => {
    const local: Entry = { id: 'l', type: 'local-candidate', candidateType: 'host' };
    const other: Entry = { ...pair, id: 'p2', localCandidateId: 'l2' };
    const relayed: Entry = { id: 'l2', type: 'local-candidate', candidateType: 'relay' };
    const transport: Entry = { id: 't', type: 'transport', selectedCandidatePairId: 'p2' };
    const stats = new StatsReader().read(report(pair, other, local, relayed, remote, transport), undefined);
    expect(stats.path).toBe('relayed');
  });

  it('knows 4:4:4 by the profile of what is decoded now', () => {
    const reader = new StatsReader();
    const chroma = (more: object) =>
      reader.read(report(video(1, {}), { ...codec, ...more }), undefined).chroma;
    expect(chroma({})).toBe('4:2:0');
    expect(chroma({ sdpFmtpLine: 'level-idx=5;profile=1;tier=0' })).toBe('4:4:4');
    expect(chroma({ sdpFmtpLine: 'level-idx=5;profile=0;tier=0' })).toBe('4:2:0');
    expect(reader.read(report(), undefined).chroma).toBeUndefined();
  });

  it('has nothing to say before there is a connection', () => {
    expect(new StatsReader().read(report(), undefined)).toMatchObject({ path: undefined, fps: 0, kbps: 0 });
  });
});
