import { toBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FakePeerConnection, FakeSocket } from '../fakes';
import { anyMessage, mutated, PATIENCE, pick, seeded } from '../seeded';
import { connect, peer, relay, settle, start, viewer } from './viewer-fixture';
import { FromDesktopSchema } from '../wire/oriel/v1/channel_pb';
import { ToConsoleSchema } from '../wire/oriel/v1/live_pb';

const buffer = (bytes: Uint8Array) => bytes.slice().buffer;
const STATES = [
  'relay',
  'asking',
  'offline',
  'away',
  'connecting',
  'live',
  'resuming',
  'changed',
  'forged',
  'ended',
];

beforeEach(() => void vi.spyOn(console, 'error').mockReturnValue());

// Rule: a computer can end its own session by what it says, and do nothing else.
describe('a viewer', () => {
  it(
    'survives what a computer says on its channel',
    async () => {
      const random = seeded(151);
      let heard = 0;
      for (let round = 0; round < 25; round++) {
        await connect();
        const channel = peer().channel('control');
        for (let n = random(30); n >= 0; n--) {
          const bytes = toBinary(FromDesktopSchema, anyMessage(random, FromDesktopSchema));
          const data = random(12) === 0 ? mutated(random, bytes) : bytes;
          channel.onmessage?.({
            data: pick(random, [buffer(data), buffer(data), buffer(data), 'text', data]),
          });
          if (viewer.state.name === 'live') heard++;
        }
        await settle();
        if (!STATES.includes(viewer.state.name)) expect.fail(viewer.state.name);
        viewer.close();
        FakePeerConnection.all.length = 0;
      }
      expect(heard).toBeGreaterThan(100);
    },
    PATIENCE,
  );

  it(
    'survives what a relay says',
    async () => {
      const random = seeded(152);
      await start();
      for (let round = 0; round < 300; round++) {
        const message = anyMessage(random, ToConsoleSchema);
        if (message.body.case === 'signedOut') continue; // nothing comes after
        const bytes = toBinary(ToConsoleSchema, message);
        const data = random(12) === 0 ? mutated(random, bytes) : bytes;
        relay().onmessage?.({ data: buffer(data) });
        if (relay().closed || relay().readyState === 3) await vi.advanceTimersByTimeAsync(5_000);
        if (relay().readyState === 0) relay().greet();
        await settle();
        if (!STATES.includes(viewer.state.name)) expect.fail(viewer.state.name);
      }
      // Nothing has been shown or typed for a relay's word alone.
      expect(FakePeerConnection.all.filter((p) => p.remote !== undefined)).toEqual([]);
      expect(FakeSocket.all.length).toBeLessThan(300);
    },
    PATIENCE,
  );
});
