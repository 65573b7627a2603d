/** What the statistics overlay shows: the browser's figures (getStats) and the agent's. */
import { chromaOf } from './quality';
import type { Stats as AgentStats } from '../wire/oriel/v1/channel_pb';

export interface ViewerStats {
  path: 'direct' | 'relayed' | undefined;
  /** How the relay is reached: udp, tcp or tls; only if relayed. */
  relayProtocol: string | undefined;
  roundTripMs: number | undefined;
  width: number;
  height: number;
  fps: number;
  kbps: number;
  codec: string | undefined;
  chroma: '4:2:0' | '4:4:4' | undefined; // of what is decoded
  lossPercent: number; // of the last interval
  jitterMs: number; // mean wait in the jitter buffer, last interval
  decodeMs: number; // mean, last interval
  decoded: number; // pictures, last interval
  shownMs: number | undefined; // mean of those that were measured (core/viewer/presentation.ts)
  freezes: number;
  agent: AgentStats | undefined;
}

type Report = Record<string, unknown> & { id: string; type: string };

interface Counters {
  at: number;
  bytes: number;
  packets: number;
  lost: number;
  jitterDelay: number;
  emitted: number;
  decodeTime: number;
  decoded: number;
}

/** Turns the counters of one connection into figures of the time between two looks. */
export class StatsReader {
  #last: Counters | undefined;

  read(report: RTCStatsReport, agent: AgentStats | undefined, shownMs?: number): ViewerStats {
    const all: Report[] = [];
    report.forEach((entry: Report) => all.push(entry));
    const find = (id: unknown) => all.find((r) => r.id === id);
    const video = all.find((r) => r.type === 'inbound-rtp' && r['kind'] === 'video');
    const pair = chosenPair(all);
    const local = find(pair?.['localCandidateId']);
    const remote = find(pair?.['remoteCandidateId']);
    const relayed = [local, remote].some((c) => c?.['candidateType'] === 'relay');
    const now: Counters = {
      at: number((video ?? all[0])?.['timestamp']), // before the first packet there is no video
      bytes: number(video?.['bytesReceived']),
      packets: number(video?.['packetsReceived']),
      lost: number(video?.['packetsLost']),
      jitterDelay: number(video?.['jitterBufferDelay']),
      emitted: number(video?.['jitterBufferEmittedCount']),
      decodeTime: number(video?.['totalDecodeTime']),
      decoded: number(video?.['framesDecoded']),
    };
    const before = this.#last ?? now;
    this.#last = now;
    const seconds = Math.max((now.at - before.at) / 1000, 0.001);
    const lost = Math.max(now.lost - before.lost, 0);
    const expected = lost + now.packets - before.packets;
    const codec = find(video?.['codecId']);
    const mimeType = text(codec?.['mimeType']);
    const roundTrip = pair?.['currentRoundTripTime'];
    return {
      path: pair ? (relayed ? 'relayed' : 'direct') : undefined,
      relayProtocol: relayed ? text(local?.['relayProtocol']) : undefined,
      roundTripMs: typeof roundTrip === 'number' ? roundTrip * 1000 : undefined,
      width: number(video?.['frameWidth']),
      height: number(video?.['frameHeight']),
      fps: Math.round((now.decoded - before.decoded) / seconds),
      kbps: Math.round(((now.bytes - before.bytes) * 8) / 1000 / seconds),
      codec: mimeType?.replace(/^video\//, ''),
      chroma: mimeType === undefined ? undefined : chromaOf(mimeType, text(codec?.['sdpFmtpLine'])),
      lossPercent: expected > 0 ? (lost / expected) * 100 : 0,
      jitterMs: mean(now.jitterDelay - before.jitterDelay, now.emitted - before.emitted),
      decodeMs: mean(now.decodeTime - before.decodeTime, now.decoded - before.decoded),
      decoded: now.decoded - before.decoded,
      shownMs,
      freezes: number(video?.['freezeCount']),
      agent,
    };
  }
}

function chosenPair(all: Report[]): Report | undefined {
  const transport = all.find((r) => r.type === 'transport' && r['selectedCandidatePairId']);
  const chosen = all.find((r) => r.id === transport?.['selectedCandidatePairId']);
  // Firefox has no transport report, but marks the pair.
  return (
    chosen ??
    all.find((r) => r.type === 'candidate-pair' && r['nominated'] === true && r['state'] === 'succeeded')
  );
}

const number = (value: unknown) => (typeof value === 'number' ? value : 0);
const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
const mean = (seconds: number, count: number) => (count > 0 ? (seconds / count) * 1000 : 0);
