/** Data channels beside the picture. */
import { describe, expect, it } from 'vitest';
import { connect, peer, start, viewer } from './viewer-fixture';
import { Code } from '../wire/oriel/v1/session_pb';

describe('a channel of a viewer', () => {
  it('is opened on the session and ends with its connection', async () => {
    await connect();
    const channel = viewer.channel('files');
    const pipe = peer().channel('files');
    expect(pipe.options).toEqual({ protocol: 'oriel.v1' });
    const next = channel[Symbol.asyncIterator]().next();
    peer().become('failed');
    await expect(next).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect(pipe.closed).toBe(true);
  });

  it('is none without a computer at the other end', async () => {
    await start();
    expect(() => viewer.channel('files')).toThrow(expect.objectContaining({ code: Code.UNAVAILABLE }));
    expect(peer().channels.map((c) => c.label)).toEqual(['pointer', 'again', 'control']);
  });

  // Rule: what is bounded are the channels open at a time, not those ever opened.
  it('is one of a few at a time', async () => {
    await connect();
    for (let i = 0; i < 40; i++) viewer.channel('files').close();
    const open = Array.from({ length: 16 }, () => viewer.channel('files'));
    expect(() => viewer.channel('files')).toThrow(expect.objectContaining({ code: Code.BUSY }));
    open[0]?.close();
    viewer.channel('files').close();
  });
});
