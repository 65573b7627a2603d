import { create } from '@bufbuild/protobuf';
import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Quality } from '../../core/viewer/quality';
import { Preset, StatsSchema } from '../../core/wire/oriel/v1/channel_pb';
import type { Session } from './session.svelte';
import QualityMenu from './QualityMenu.svelte';

const auto: Quality = { preset: Preset.UNSPECIFIED, maxFps: 0, maxKbps: 0 };

function browser(...fmtp: string[]): void {
  const codecs = fmtp.map((sdpFmtpLine) => ({ mimeType: 'video/AV1', sdpFmtpLine }));
  vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ codecs }) });
}

async function open(more: object = {}) {
  const viewer = { focus: vi.fn() };
  const session = { quality: auto, fullChroma: true, stats: undefined, viewer, ...more };
  render(QualityMenu, { session: session as unknown as Session });
  await fireEvent.click(screen.getByTestId('picture'));
  return session;
}

const radio = (name: string) => screen.getByRole('menuitemradio', { name });

beforeEach(() => {
  // happy-dom has no top layer.
  HTMLElement.prototype.showPopover ??= () => undefined;
  browser('profile=0', 'profile=1');
});
afterEach(() => vi.unstubAllGlobals());

describe('the picture menu', () => {
  it('shows what is chosen, each with a line of explanation', async () => {
    await open({ quality: { preset: Preset.SPEED, maxFps: 15, maxKbps: 500 } });
    expect(screen.getByTestId('picture').getAttribute('aria-label')).toBe('Picture, Speed');
    const checked = screen.getAllByRole('menuitemradio', { checked: true });
    expect(checked.map((e) => e.getAttribute('aria-label') ?? e.textContent)).toEqual([
      'Speed',
      '15',
      '500 kbit/s',
    ]);
    for (const name of ['Auto', 'Speed', 'Balanced', 'Sharp']) {
      const text = document.getElementById(radio(name).getAttribute('aria-describedby') ?? '');
      expect(text?.textContent?.length, name).toBeGreaterThan(10);
    }
  });

  it.each([
    ['Sharp', { preset: Preset.SHARP }],
    ['Balanced', { preset: Preset.BALANCED }],
    ['30', { maxFps: 30 }],
    ['2 Mbit/s', { maxKbps: 2000 }],
  ])('chooses %s, leaves the rest, and gives the focus back to the picture', async (name, change) => {
    const session = await open();
    await fireEvent.click(radio(name));
    expect(session.quality).toEqual({ ...auto, ...change });
    expect(session.viewer.focus).toHaveBeenCalled();
  });

  it('is walked through by arrow keys', async () => {
    await open();
    const menu = screen.getByRole('menu');
    const seen = [document.activeElement];
    for (let i = 0; i < 4; i++) {
      await fireEvent.keyDown(menu, { key: 'ArrowDown' });
      seen.push(document.activeElement);
    }
    expect(seen.map((e) => e?.getAttribute('data-testid'))).toEqual([
      'preset-0',
      'preset-1',
      'preset-2',
      'preset-3',
      'fps-0',
    ]);
  });

  it.each([
    ['the browser', () => browser('profile=0'), {}, /browser cannot/],
    ['the computer', () => undefined, { fullChroma: false }, /computer does not/],
  ])('offers no Sharp that %s cannot do, and says so', async (_who, prepare, more, words) => {
    prepare();
    const session = await open(more);
    expect(radio('Sharp').getAttribute('aria-disabled')).toBe('true');
    expect(radio('Sharp').textContent).toMatch(words);
    await fireEvent.click(radio('Sharp'));
    expect(session.quality).toEqual(auto);
    expect(screen.queryByRole('menu')).not.toBeNull();
  });

  it('says when Sharp is asked for and Balanced is sent, and when Auto saves', async () => {
    const stats = (preset: Preset) => ({ agent: create(StatsSchema, { preset }) });
    const asked = { ...auto, preset: Preset.SHARP };
    await open({ quality: asked, stats: stats(Preset.BALANCED) });
    expect(radio('Sharp').textContent).toMatch(/Balanced is used instead/);
    document.body.replaceChildren();
    await open({ stats: stats(Preset.SPEED) });
    expect(radio('Auto').textContent).toMatch(/Speed now/);
  });
});
