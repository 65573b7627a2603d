/** Speaking on a session's data channels past the console's own code. */
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import type { BrowserContext, Page } from 'playwright-core';
import {
  FromDesktopSchema,
  PointerMoveSchema,
  ToDesktopSchema,
  type FromDesktop,
} from '../../src/core/wire/oriel/v1/channel_pb.ts';

type Kept = { __channels: Record<string, RTCDataChannel>; __said: number[][] };

/** Keeps the page's data channels and everything the agent says on "control". */
export async function watchChannels(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const kept = window as unknown as Kept;
    kept.__channels = {};
    kept.__said = [];
    const make = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (label, options) {
      const c = make.call(this, label, options);
      kept.__channels[label] = c;
      if (label === 'control') {
        c.addEventListener('message', (e: MessageEvent<ArrayBuffer>) => {
          kept.__said.push([...new Uint8Array(e.data)]);
        });
      }
      return c;
    };
  });
}

async function send(page: Page, label: string, bytes: Uint8Array): Promise<void> {
  await page.evaluate(
    ([name, data]) => {
      (window as unknown as Kept).__channels[name]?.send(new Uint8Array(data));
    },
    [label, [...bytes]] as const,
  );
}

export async function say(
  page: Page,
  body: NonNullable<MessageInitShape<typeof ToDesktopSchema>['body']>,
): Promise<void> {
  await send(page, 'control', toBinary(ToDesktopSchema, create(ToDesktopSchema, { body })));
}

export async function move(page: Page, seq: number, x: number, y: number): Promise<void> {
  await send(page, 'pointer', toBinary(PointerMoveSchema, create(PointerMoveSchema, { seq, x, y })));
}

export async function heard(page: Page): Promise<FromDesktop[]> {
  const said = await page.evaluate(() => (window as unknown as Kept).__said);
  return said.map((b) => fromBinary(FromDesktopSchema, new Uint8Array(b)));
}
