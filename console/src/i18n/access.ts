/** Words for permissions, roles and why somebody may not. */
import { m } from '../paraglide/messages.js';

/** Permissions as the relay calls them, in the order and the groups in which people read them. */
export const PERMISSIONS = {
  computers: {
    see: m.permission_see,
    connect: m.permission_connect,
    control: m.permission_control,
    'files.read': m.permission_files_read,
    'files.write': m.permission_files_write,
    'clipboard.read': m.permission_clipboard_read,
    'clipboard.write': m.permission_clipboard_write,
    terminal: m.permission_terminal,
    power: m.permission_power,
    sound: m.permission_sound,
    recording: m.permission_recording,
    forward: m.permission_forward,
    tools: m.permission_tools,
    'computers.manage': m.permission_computers_manage,
  },
  organization: {
    invitations: m.permission_invitations,
    enroll: m.permission_enroll,
    'groups.manage': m.permission_groups_manage,
    'people.manage': m.permission_people_manage,
    branding: m.permission_branding,
    journal: m.permission_journal,
    'sessions.end': m.permission_sessions_end,
    policies: m.permission_policies,
    audit: m.permission_audit,
    api: m.permission_api,
    organization: m.permission_organization,
    'relay.operate': m.permission_relay_operate,
  },
} as const;

/** Each with its words; account and about are everybody's and nobody's to give. */
export const permissionWords: ReadonlyMap<string, () => string> = new Map([
  ...Object.entries(PERMISSIONS.computers),
  ...Object.entries(PERMISSIONS.organization),
]);

const BUILT_IN: ReadonlyMap<string, () => string> = new Map([
  ['owner', m.role_owner],
  ['admin', m.role_admin],
  ['operator', m.role_operator],
  ['viewer', m.role_viewer],
  ['member', m.role_member],
]);

export type Roles = readonly { id: string; name: string }[];

/** The name of a role; the relay gives that of an organization's own. */
export const roleNamed = (id: string, name: string) => BUILT_IN.get(id)?.() ?? (name || m.role_unknown());

/** The name of one of these roles. */
export const roleWords = (id: string, roles: Roles) =>
  roleNamed(id, roles.find((one) => one.id === id)?.name ?? '');

const REASONS: ReadonlyMap<string, () => string> = new Map([
  ['inactive', m.why_inactive],
  ['elsewhere', m.why_elsewhere],
  ['key', m.why_key],
  ['needs_approval', m.why_needs_approval],
  ['outside_hours', m.why_outside_hours],
  ['not_begun', m.why_not_begun],
  ['ended', m.why_ended],
  ['no_grant', m.why_no_grant],
]);

export const reasonWhy = (reason: string) => REASONS.get(reason)?.() ?? reason;

/** Days of the week as the relay writes them. */
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const MONDAY = Date.UTC(2024, 0, 1);

export const dayWords = (day: (typeof DAYS)[number], locale?: string) =>
  new Intl.DateTimeFormat(locale, { weekday: 'short', timeZone: 'UTC' }).format(
    MONDAY + DAYS.indexOf(day) * 86_400_000,
  );
