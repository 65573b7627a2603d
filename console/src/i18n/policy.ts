/** What a policy can say, in the order and the words in which people read it. */
import type { Schema } from '../core/relay/api';
import { m } from '../paraglide/messages.js';
import { permissionWords } from './access';

type Settings = Schema<'PolicySettings'>;
type SettingName = keyof Settings;

type Value = NonNullable<Settings[SettingName]>;

interface Setting {
  name: SettingName;
  look: 'scopes' | 'choice' | 'number' | 'lines';
  label: () => string;
  text: () => string;
  /** What it begins with, once it is said. */
  first: Value;
  min?: number;
  max?: number;
}

const AGENTS: readonly Setting[] = [
  { name: 'scopes', look: 'scopes', label: m.policy_scopes, text: m.policy_scopes_text, first: ['view'] },
  { name: 'consent', look: 'choice', label: m.policy_consent, text: m.policy_consent_text, first: true },
  {
    name: 'hours',
    look: 'lines',
    label: m.policy_hours,
    text: m.policy_hours_text,
    first: ['mon-fri 08:00-18:00'],
  },
  {
    name: 'session_minutes',
    look: 'number',
    label: m.policy_session,
    text: m.policy_session_text,
    first: 60,
    min: 1,
    max: 10080,
  },
  {
    name: 'lease_minutes',
    look: 'number',
    label: m.policy_lease,
    text: m.policy_lease_text,
    first: 5,
    min: 1,
    max: 1440,
  },
  { name: 'previews', look: 'choice', label: m.policy_previews, text: m.policy_previews_text, first: false },
  {
    name: 'preview_seconds',
    look: 'number',
    label: m.policy_preview_seconds,
    text: m.policy_preview_seconds_text,
    first: 300,
    min: 60,
    max: 86400,
  },
];

const PEOPLE: readonly Setting[] = [
  {
    name: 'allowed_addresses',
    look: 'lines',
    label: m.policy_addresses,
    text: m.policy_addresses_text,
    first: [],
  },
  {
    name: 'sign_in_idle_minutes',
    look: 'number',
    label: m.policy_idle,
    text: m.policy_idle_text,
    first: 480,
    min: 5,
    max: 43200,
  },
  {
    name: 'sign_in_hours',
    look: 'number',
    label: m.policy_sign_in,
    text: m.policy_sign_in_text,
    first: 168,
    min: 1,
    max: 8760,
  },
];

export type { Setting, Value };
export { AGENTS, PEOPLE };

/** What sessions can do, as the relay calls it. */
export const SCOPES = [
  'view',
  'control',
  'clipboard_read',
  'clipboard_write',
  'files_read',
  'files_write',
  'terminal',
  'sound',
  'power',
  'recording',
  'forward',
] as const;

export const scopeName = (scope: string) =>
  scope === 'view' ? m.policy_scope_view() : (permissionWords.get(scope.replace('_', '.'))?.() ?? scope);

/** A value as it is read. */
export function valueWords(value: Value): string {
  if (typeof value === 'boolean') return value ? m.yes() : m.no();
  if (typeof value === 'number') return String(value);
  return (
    value.map((one) => (SCOPES.some((scope) => scope === one) ? scopeName(one) : one)).join('; ') ||
    m.policy_any()
  );
}

/** Settings of a policy in the audit, by name; undefined: unreadable, such as one that an older relay cut short. */
function settingsOf(text: string | undefined): ReadonlyMap<string, Value> | undefined {
  const said = new Map<string, Value>();
  let read: unknown;
  try {
    read = JSON.parse(text || '{}');
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  for (const [name, value] of Object.entries(read)) {
    const plain = typeof value === 'boolean' || typeof value === 'number';
    const list = Array.isArray(value) && value.every((one) => typeof one === 'string');
    if (plain || list) said.set(name, value);
  }
  return said;
}

const words = (value: Value | undefined) => (value === undefined ? m.policy_unsaid() : valueWords(value));

/** Up to this, of both together, lists are said whole. */
const FEW = 6;

/** How a value changed: of long lists what came and what went. */
function changeWords(old: Value | undefined, now: Value | undefined): string {
  if (!Array.isArray(old) || !Array.isArray(now) || old.length + now.length <= FEW)
    return `${words(old)} → ${words(now)}`;
  const came = now.filter((one) => !old.includes(one));
  const went = old.filter((one) => !now.includes(one));
  const parts = [
    ...(came.length > 0 ? [m.policy_added({ what: valueWords(came) })] : []),
    ...(went.length > 0 ? [m.policy_removed({ what: valueWords(went) })] : []),
  ];
  return parts.join(' · ') || m.policy_reordered();
}

/** What changed from one text of a policy to another, a line each; undefined: what was before is not known. */
export function changeLines(before: string | undefined, after: string | undefined): string[] {
  const [was, is] = [settingsOf(before), settingsOf(after)];
  if (!was || !is) return [m.policy_cut()];
  return [...AGENTS, ...PEOPLE].flatMap(({ name, label }) => {
    const [old, now] = [was.get(name), is.get(name)];
    if (JSON.stringify(old) === JSON.stringify(now)) return [];
    const value = before === undefined ? words(now) : changeWords(old, now);
    return [m.detail({ label: label(), value })];
  });
}
