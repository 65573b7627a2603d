/** Words for how much an organization has of what is counted, and may have. */
import type { Schema } from '../../core/relay/api';
import { m } from '../../paraglide/messages.js';
import { bytes, number } from '../../i18n/format';

export type Use = Schema<'Use'>;
export type Quota = keyof typeof KINDS;

/** What is counted, in the order in which people read it. */
export const KINDS = {
  computers: m.quota_computers,
  people: m.quota_people,
  sessions: m.quota_sessions,
  invitations: m.quota_invitations,
  storage: m.quota_storage,
} as const satisfies Record<Exclude<keyof Schema<'Quotas'>, '$schema'>, () => string>;

export const ALL = Object.keys(KINDS) as Quota[];

export const amount = (kind: Quota, count: number) => (kind === 'storage' ? bytes(count) : number(count));

/** How far a quota is used: 'near' from 80 % on; what has no limit is neither. */
export function level({ used, limit }: Use): 'near' | 'full' | undefined {
  if (limit === undefined) return undefined;
  if (used >= limit) return 'full';
  return used * 5 >= limit * 4 ? 'near' : undefined;
}

/** A sentence where there is little or no room; else ''. */
export function warning(kind: Quota, use: Use | undefined): string {
  if (use?.limit === undefined) return '';
  const words = { kind: KINDS[kind](), used: amount(kind, use.used), limit: amount(kind, use.limit) };
  switch (level(use)) {
    case 'near':
      return m.quota_near(words);
    case 'full':
      return m.quota_full(words);
    default:
      return '';
  }
}

/** Limits are written as numbers, of storage in megabytes; nothing is no limit. */
const unit = (kind: Quota) => (kind === 'storage' ? 1e6 : 1);

export const written = (kind: Quota, use: Use | undefined): string =>
  use?.limit === undefined ? '' : String(use.limit / unit(kind));

/** The limit that a text says; NaN where it says none that there can be. */
export function limitOf(kind: Quota, text: string): number | undefined {
  const plain = text.trim();
  if (plain === '') return undefined;
  const form = kind === 'storage' ? /^\d+(\.\d+)?$/ : /^\d+$/;
  return form.test(plain) ? Math.round(Number(plain) * unit(kind)) : NaN;
}
