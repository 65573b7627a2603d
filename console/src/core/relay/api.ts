/**
 * The relay's REST interface: a client typed by its OpenAPI description
 * (api.gen.ts, generated). A call that fails throws ApiError, whose code a
 * program can tell apart; i18n/problems.ts has the sentence for people.
 */
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './api.gen';

type Schemas = components['schemas'];
export type Schema<Name extends keyof Schemas> = Schemas[Name];
export type Person = Schemas['Person'];
export type SignedIn = Schemas['SignedIn'];
export type SignIn = Schemas['SignIn'];
export type Inventory = Schemas['Inventory'];
export type EnrollmentToken = Schemas['NewEnrollmentToken'];
export type SessionRow = Schemas['Session'];
export type RelayInfo = Schemas['RelayInfo'];
export type WaitingComputer = Schemas['WaitingComputer'];
export type AgentFile = Schemas['AgentFile'];
export type ProblemCode = Schemas['Problem']['code'];

/** One of what somebody is asked to choose from. */
export type Choice = Schema<'Choice'>;

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number; // 0: the relay was not reached
  readonly code: string;
  readonly retryAfter: number | undefined; // seconds
  /** What to choose from, where the relay asks that. */
  choices: readonly Choice[] = [];

  constructor(status: number, code: string, detail: string, retryAfter?: number) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

function choicesOf(problem: unknown): Choice[] {
  const all: unknown = typeof problem === 'object' && problem ? Reflect.get(problem, 'choices') : undefined;
  if (!Array.isArray(all)) return [];
  return all.filter((one): one is Choice => typeof one?.value === 'string' && typeof one?.label === 'string');
}

const failures: Middleware = {
  async onResponse({ response }) {
    if (response.ok) return;
    const problem: unknown = await response.json().catch(() => undefined);
    const text = (name: string) => {
      const value: unknown =
        typeof problem === 'object' && problem !== null ? Reflect.get(problem, name) : undefined;
      return typeof value === 'string' ? value : '';
    };
    const wait = Number(response.headers.get('Retry-After') ?? NaN);
    const error = new ApiError(
      response.status,
      text('code') || (response.status === 401 ? 'unauthorized' : ''),
      text('detail') || text('title'),
      Number.isFinite(wait) ? wait : undefined,
    );
    error.choices = choicesOf(problem);
    throw error;
  },
  onError({ error }) {
    return new ApiError(0, 'unreachable', error instanceof Error ? error.message : '');
  },
};

export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? '',
  fetch: (request) => fetch(request),
});
api.use(failures);

/** The data of a call; failures have been thrown already. */
export async function take<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  if (data === undefined) throw new ApiError(0, 'unreachable', 'empty answer');
  return data;
}

/** Where a page of a list begins, and how much of it. */
interface PageQuery {
  limit: number;
  cursor?: string;
}

/** All items of a list, page by page. */
export async function whole<T>(
  ask: (query: PageQuery) => Promise<{ items: T[]; next: string }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let cursor = ''; ;) {
    const page = await ask({ limit: 100, ...(cursor && { cursor }) });
    all.push(...page.items);
    if (!page.next || page.next === cursor) return all;
    cursor = page.next;
  }
}

/** Whether the relay knows who asks; undefined: it was not reached, or is in trouble. */
export async function signedIn(): Promise<boolean | undefined> {
  try {
    await api.GET('/api/v1/me');
    return true;
  } catch (error) {
    return error instanceof ApiError && error.status === 401 ? false : undefined;
  }
}

/** Where a computer's preview is; at makes the address new when the picture is. */
export function previewUrl(computerId: string, at: bigint): string {
  return `/api/v1/computers/${encodeURIComponent(computerId)}/preview?at=${at}`;
}
