import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { fireEvent, render, screen } from '@testing-library/svelte';

import { tick } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../core/relay/api';
import { Computer_Status, ComputerSchema, FailingSchema, SignOutReason } from '../core/wire/oriel/v1/live_pb';
import { Code, EndReason } from '../core/wire/oriel/v1/session_pb';
import { ago, bytes, duration } from '../i18n/format';
import { PROBLEMS, problemWords } from '../i18n/problems';
import { browserWords, codeWords, endWords, reasonWords } from '../i18n/words';
import SignIn from './sign-in/SignIn.svelte';
import { signUp } from './sign-in/signup.svelte';
import { computers } from '../state/computers.svelte';
import type { Session } from './viewer/session.svelte';
import { account } from '../state/account.svelte';
import Computer from './computer/Computer.svelte';
import EmptyFleet from './computers/EmptyFleet.svelte';
import ComputerCard from './computers/ComputerCard.svelte';
import Statistics from './viewer/Statistics.svelte';
import RelayHealth from './shell/RelayHealth.svelte';
import RemoveComputer from './computers/RemoveComputer.svelte';
import SessionDelays from './journal/SessionDelays.svelte';

beforeEach(() => {
  // happy-dom has no top layer.
  HTMLElement.prototype.showPopover ??= () => undefined;
});
afterEach(() => vi.unstubAllGlobals());

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ status, code, title: 'x', detail: 'x' }), {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  });

describe('signing in', () => {
  async function submit(response: Response | Error) {
    const fetched = vi.fn(async (request: Request) => {
      if (request.method === 'GET') return Response.json({ open: false, minutes: 60 });
      if (response instanceof Error) throw response;
      return response;
    });
    vi.stubGlobal('fetch', fetched);
    render(SignIn);
    await fireEvent.input(screen.getByLabelText(/^E-mail/), { target: { value: ' a@b.c ' } });
    await fireEvent.input(screen.getByLabelText('Password'), { target: { value: ' secret ' } });
    await fireEvent.submit(screen.getByRole('button', { name: 'Sign in' }).closest('form') ?? document.body);
    return fetched;
  }

  it('sends the password as it is and says when it is wrong', async () => {
    const fetched = await submit(problem(401, 'bad_credentials'));
    expect((await screen.findByTestId('problem')).textContent).toContain('wrong');
    const request = fetched.mock.calls.map(([one]) => one).find(({ method }) => method === 'POST');
    expect(await request?.json()).toEqual({ login: 'a@b.c', password: ' secret ' });
    expect(screen.getByLabelText<HTMLInputElement>('Password').value).toBe('');
  });

  it('says how long to wait after too many tries', async () => {
    await submit(problem(429, 'too_many_tries', { 'Retry-After': '130' }));
    expect((await screen.findByTestId('problem')).textContent).toContain('3 min');
  });

  it('offers an account where anybody may have one', async () => {
    for (const open of [false, true]) {
      vi.stubGlobal('fetch', async () => Response.json({ open, minutes: 60 }));
      const page = render(SignIn);
      await vi.waitFor(() => expect(signUp.open).toBe(open));
      await tick();
      expect(screen.queryByTestId('sign-up')?.getAttribute('href')).toBe(open ? '/sign-up' : undefined);
      page.unmount();
    }
  });

  // Rule: who is signed out while they are at work is told so, and one who just comes is not.
  it('says why the page is here in the midst of work', () => {
    vi.stubGlobal('fetch', async () => Response.json({ open: false, minutes: 60 }));
    for (const ended of [false, true]) {
      account.ended = ended;
      const page = render(SignIn);
      expect(screen.queryByTestId('signed-out') !== null).toBe(ended);
      page.unmount();
    }
    account.ended = false;
  });

  // Rule: each reason for which a sign-in ends has a sentence of its own; one that this page does not know is told as none.
  it('says for which reason', () => {
    vi.stubGlobal('fetch', async () => Response.json({ open: false, minutes: 60 }));
    const said = new Set<string>();
    const reasons = Object.values(SignOutReason).filter((one) => typeof one === 'number');
    for (const reason of [...reasons, 99 as SignOutReason]) {
      [account.ended, account.why] = [true, reason];
      const page = render(SignIn);
      said.add(screen.getByTestId('signed-out').textContent ?? '');
      page.unmount();
    }
    expect(said.size).toBe(reasons.length);
    [account.ended, account.why] = [false, 0];
  });

  it('says that the relay cannot be reached', async () => {
    await submit(new TypeError('failed to fetch'));
    expect((await screen.findByTestId('problem')).textContent).toContain('cannot be reached');
  });
});

describe('delays', () => {
  const stages = {
    ...{ capture: 0.7, convert: 0.3, encode: 9, network: 21.5, wait: undefined, decode: 2 },
    shown: undefined,
  };

  it('of a session in the journal name what was measured, and their sum', () => {
    const { container } = render(SessionDelays, { delays: { stages, frames: 1234, lossPercent: 1.5 } });
    expect(container.querySelector('summary')?.textContent).toBe('Delay about 34 ms');
    const [names, values] = ['dt', 'dd'].map((tag) =>
      [...container.querySelectorAll(tag)].map((e) => e.textContent),
    );
    expect(names).toEqual([
      ...['Capture', 'Conversion', 'Encoding', 'Network, one way', 'Decoding', 'Loss', 'Pictures'],
    ]);
    expect(values).toEqual(['0.7 ms', '0.3 ms', '9 ms', '22 ms', '2 ms', '1.5%', '1,234']);
  });

  it('of a live session are rows in the order of the way, measured while somebody looks', () => {
    const agent = { captureUs: 700, convertUs: 0, encodeUs: 9000, queueUs: 1500, estimateKbps: 5000 };
    const stats = { decoded: 30, roundTripMs: 40, jitterMs: 1, decodeMs: 2, shownMs: 20.2, lossPercent: 0 };
    const viewer = { measuring: false, size: { width: 1920, height: 1080 } };
    const figures = { ...stats, path: 'direct', width: 960, height: 540, agent };
    const session = { viewer, lacks: [], stats: figures };
    const { unmount } = render(Statistics, { session: session as unknown as Session });
    const rows = ['capture', 'convert', 'encode', 'network', 'wait', 'decode', 'shown', 'age'];
    expect(rows.map((name) => screen.getByTestId(`stat-${name}`).textContent)).toEqual([
      ...['0.7 ms', '–', '9 ms', '21.5 ms', '1 ms', '2 ms', '20.2 ms', 'about 54.4 ms'],
    ]);
    expect(screen.getByTestId('stat-size').textContent).toBe('960 × 540, half of the screen');
    expect(viewer.measuring).toBe(true);
    unmount();
    expect(viewer.measuring).toBe(false);
  });
});

describe('a mark in the list', () => {
  const marked = (over: object) => create(ComputerSchema, { id: 'c1', name: 'pc', ...over });

  // Rule: two machines with one identity, and one machine enrolled twice, are said in the list.
  it.each([
    [{ twins: { seenAt: 5n, machines: [] }, sameMachineAs: 'c0' }, 'Two machines use this identity'],
    [{ sameMachineAs: 'c0' }, 'Enrolled twice'],
  ])('says %o', (over, words) => {
    render(ComputerCard, { computer: marked(over) });
    const link = screen.getByTestId('mark');
    expect([link.textContent?.trim(), link.getAttribute('href')]).toEqual([words, '/computers/c1']);
  });

  it('is not there for others', () => {
    render(ComputerCard, { computer: marked({}) });
    expect(screen.queryByTestId('mark')).toBeNull();
  });
});

describe('a card', () => {
  const hostile = '<img src=x onerror=alert(1)>';
  const computer = create(ComputerSchema, {
    id: 'c1',
    name: hostile,
    status: Computer_Status.IN_SESSION,
    operators: ['Ada'],
    permissions: ['see', 'connect', 'computers.manage'],
    previewAt: 5n,
    summary: { os: 'linux', osName: hostile },
  });

  it('shows what an agent says as text, and nothing else', () => {
    const { container } = render(ComputerCard, { computer });
    expect(screen.getByRole('heading').textContent).toBe(hostile);
    const sources = [...container.querySelectorAll('img')].map((img) => img.getAttribute('src'));
    expect(sources).toEqual(['/api/v1/computers/c1/preview?at=5']);
  });

  it('gets a new picture of the screen when the page is looked at', async () => {
    const hidden = vi.spyOn(document, 'hidden', 'get');
    const look = async (seen: boolean): Promise<void> => {
      hidden.mockReturnValue(!seen);
      await fireEvent(document, new Event('visibilitychange'));
    };
    const { container, rerender } = render(ComputerCard, { computer });
    const source = (): string | null | undefined => container.querySelector('img')?.getAttribute('src');
    const at = (previewAt: bigint): Promise<void> =>
      rerender({ computer: create(ComputerSchema, { ...computer, previewAt }) });
    await look(false);
    await at(6n);
    expect(source()).toContain('at=5');
    await look(true);
    expect(source()).toContain('at=6');
    await at(7n);
    expect(source()).toContain('at=7');
    await at(0n);
    expect(source()).toBeUndefined();
    hidden.mockRestore();
  });

  it('opens the viewer in a new tab, and says who is in', () => {
    render(ComputerCard, { computer });
    const link = screen.getByRole('link', { name: `Connect to ${hostile}` });
    expect(['href', 'target', 'rel'].map((name) => link.getAttribute(name))).toEqual([
      '/computers/c1/view',
      '_blank',
      'opener',
    ]);
    expect(screen.getByTestId('status').textContent).toContain('In session: Ada');
  });

  it('has a menu that works from the keyboard', async () => {
    render(ComputerCard, { computer });
    const button = screen.getByTestId('computer-menu');
    await fireEvent.click(button);
    const items = screen.getAllByRole('menuitem', { hidden: true });
    expect(document.activeElement).toBe(items[0]);
    await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'End' });
    expect(document.activeElement).toBe(items.at(-1));
    await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'ArrowDown' });
    expect(document.activeElement).toBe(items[0]);
    await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'Escape' });
    expect(document.activeElement).toBe(button);
    expect(screen.queryAllByRole('menuitem', { hidden: true })).toHaveLength(0);
  });

  // Rule: what a grant gives on one computer is offered on it, and what nothing gives there is not.
  it('offers what who looks may do on it', async () => {
    const offered = async (permissions: string[]) => {
      computers.byId.set('c1', create(ComputerSchema, { ...computer, permissions }));
      const menu = render(ComputerCard, { computer: computers.byId.get('c1') ?? computer });
      await fireEvent.click(screen.getByTestId('computer-menu'));
      const items = screen.getAllByRole('menuitem', { hidden: true }).length;
      menu.unmount();
      vi.stubGlobal('fetch', async () => problem(404, 'not_found'));
      const page = render(Computer, { id: 'c1' });
      const buttons = ['rename', 'change-group', 'who-reaches', 'remove'];
      const shown = buttons.filter((name) => screen.queryByTestId(name));
      page.unmount();
      return { items, shown };
    };
    expect(await offered(['see', 'connect'])).toEqual({ items: 3, shown: [] });
    expect(await offered(['see', 'groups.manage', 'people.manage'])).toEqual({
      ...{ items: 3, shown: ['change-group', 'who-reaches'] },
    });
    expect(await offered(['see', 'computers.manage'])).toEqual({ items: 5, shown: ['rename', 'remove'] });
    computers.byId.clear();
  });

  // Rule: who may not add computers is not offered to.
  it('may be added by who may add one', () => {
    for (const onadd of [undefined, () => undefined]) {
      const page = render(EmptyFleet, { onadd });
      expect(screen.queryByRole('button') !== null).toBe(onadd !== undefined);
      page.unmount();
    }
  });

  it('is removed only after a confirmation, and stays when that fails', async () => {
    const fetched = vi.fn(async () => problem(403, 'forbidden'));
    vi.stubGlobal('fetch', fetched);
    computers.byId.set('c1', computer);
    const onclose = vi.fn();
    render(RemoveComputer, { computer, onclose });
    expect(fetched).not.toHaveBeenCalled();
    await fireEvent.click(screen.getByTestId('confirm'));
    expect((await screen.findByRole('alert', { hidden: true })).textContent).toContain('may not');
    expect(computers.byId.has('c1')).toBe(true);
    expect(onclose).not.toHaveBeenCalled();
    vi.stubGlobal('fetch', async () => new Response(null, { status: 204 }));
    await fireEvent.click(screen.getByTestId('confirm'));
    await vi.waitFor(() => expect(onclose).toHaveBeenCalled());
    expect(computers.byId.has('c1')).toBe(false);
  });
});

describe('words', () => {
  it('there are for every code and every reason', () => {
    for (const code of Object.values(Code)) {
      if (typeof code !== 'number' || code === Code.UNSPECIFIED) continue;
      expect(codeWords(code), Code[code]).not.toBe('');
      expect(endWords(EndReason.REFUSED, code)).toBe(codeWords(code));
    }
    const reasons = Object.values(EndReason).filter((r) => typeof r === 'number');
    expect(new Set(reasons.map((reason) => reasonWords(reason))).size).toBe(reasons.length);
  });

  // Rule: who lost access in mid-session is not told that somebody ended it.
  it('tell who ended a session from the right to it that is gone', () => {
    const { ENDED } = EndReason;
    expect(endWords(ENDED, Code.FORBIDDEN)).not.toBe(endWords(ENDED, Code.UNSPECIFIED));
    expect(reasonWords(ENDED, Code.FORBIDDEN)).not.toBe(reasonWords(ENDED));
  });

  // Rule: nor is who was in session with a computer that was blocked.
  it('tell who ended a session from a computer that was blocked', () => {
    const { ENDED } = EndReason;
    expect(endWords(ENDED, Code.NOT_FOUND)).toContain('blocked');
    expect(reasonWords(ENDED, Code.NOT_FOUND)).toContain('blocked');
  });

  // Rule: each code that the relay's description lists has its words here, and no other.
  it('there are for every problem that the relay may have', () => {
    const yaml = readFileSync('../protocol/openapi.yaml', 'utf8'); // from the console's folder
    const problem = yaml.slice(yaml.indexOf('\n    Problem:'));
    const listed = /\n {8}code:\n[^]*? {10}enum:\n((?: {12}- .*\n)+)/.exec(problem)?.[1] ?? '';
    const codes = Array.from(listed.matchAll(/- (\w+)/g), ([, code]) => code ?? '');
    expect(codes.length).toBeGreaterThan(30);
    const own = ['unreachable', 'cookie_refused'];
    expect(Object.keys(PROBLEMS).sort()).toEqual([...codes, ...own].sort());
    for (const code of codes) expect(problemWords(new ApiError(400, code, 'x'))).not.toBe('');
  });

  it('there are for errors that nobody foresaw', () => {
    expect(problemWords(new Error('x'))).toBe(problemWords(new ApiError(500, '', '')));
    expect(problemWords(new ApiError(422, 'invalid', 'the name is too long'))).toContain(
      'the name is too long',
    );
  });

  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36', 'Chrome 156, Linux'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0', 'Edge 140, Windows'],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:141.0) Gecko/20100101 Firefox/141.0', 'Firefox 141, macOS'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1', 'Safari 18, iOS'],
    ['curl/8.0', 'curl/8.0'],
  ])('for %s', (agent, words) => expect(browserWords(agent)).toBe(words)); // prettier-ignore
});

describe('formats', () => {
  it.each([
    [0, '0:00'],
    [61_000, '1:01'],
    [3_723_000, '1:02:03'],
    [-5, '0:00'],
  ])('duration %i is %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [5, '5 byte'],
    [1500, '1.5 kB'],
    [123_456_789, '123 MB'],
  ])('size %i is %s', (count, text) => expect(bytes(count)).toBe(text));

  it.each([
    [0, 'now'],
    [59_000, 'now'],
    [120_000, '2 minutes ago'],
    [86_400_000, 'yesterday'],
    [-60_000, 'now'],
  ])('%i ms ago is %s', (ms, text) => expect(ago(1e12 - ms, 1e12)).toBe(text));
});

describe('what the relay lacks', () => {
  // Rule: who operates the relay is told that its disk is full, once, and what else fails.
  it('is said in sentences', () => {
    const failing = (part: string, diskFull = false) => create(FailingSchema, { part, diskFull });
    render(RelayHealth, { lacks: [failing('blobs', true), failing('database', true), failing('bus')] });
    const said = screen.getAllByTestId('relay-health').map((line) => line.textContent);
    expect(said).toHaveLength(2);
    expect(said[0]).toContain("The relay's disk is full");
    expect(said[1]).toContain('nodes cannot reach each other');
  });
});
