/** Words for the audit: what was done, by whom, to what, and what else is known of it. */
import type { Schema } from '../core/relay/api';
import { EndReason } from '../core/wire/oriel/v1/session_pb';
import { m } from '../paraglide/messages.js';
import { permissionWords, roleWords } from './access';
import { changeLines } from './policy';
import { browserWords, reasonWords } from './words';

export type AuditAction = Schema<'AuditEntry'>['action'];

/** A sentence for each action there is, without who: that is beside it. */
export const ACTIONS = {
  'owner_link.made': m.did_owner_link_made,
  'owner.made': m.did_owner_made,
  'sign_in.made': m.did_sign_in_made,
  'sign_in.ended': m.did_sign_in_ended,
  'sign_in.switched': m.did_sign_in_switched,
  'sign_in.refused': m.did_sign_in_refused,
  'password.changed': m.did_password_changed,
  'password.recovered': m.did_password_recovered,
  'recovery.made': m.did_recovery_made,
  'known_key.saved': m.did_known_key_saved,
  'member.invited': m.did_member_invited,
  'member_invitation.revoked': m.did_member_invitation_revoked,
  'member.joined': m.did_member_joined,
  'token.made': m.did_token_made,
  'token.revoked': m.did_token_revoked,
  'computer.enrolled': m.did_computer_enrolled,
  'policy.changed': m.did_policy_changed,
  'policy.removed': m.did_policy_removed,
  'computer.renamed': m.did_computer_renamed,
  'computer.described': m.did_computer_described,
  'field.made': m.did_field_made,
  'field.renamed': m.did_field_renamed,
  'field.removed': m.did_field_removed,
  'computer.blocked': m.did_computer_blocked,
  'computer.unblocked': m.did_computer_unblocked,
  'computer.removed': m.did_computer_removed,
  'computer.split': m.did_computer_split,
  'computer.settled': m.did_computer_settled,
  'computer.taken_back': m.did_computer_taken_back,
  'computer.forgotten': m.did_computer_forgotten,
  'session.opened': m.did_session_opened,
  'session.carried': m.did_session_carried,
  'session.scopes_changed': m.did_session_scopes_changed,
  'session.ended': m.did_session_ended,
  'key.rotated': m.did_key_rotated,
  'succession.made': m.did_succession_made,
  'audit.exported': m.did_audit_exported,
  attempt: m.did_attempt,
  'role.made': m.did_role_made,
  'role.changed': m.did_role_changed,
  'role.removed': m.did_role_removed,
  'role.given': m.did_role_given,
  'member.activated': m.did_member_activated,
  'member.deactivated': m.did_member_deactivated,
  'member.removed': m.did_member_removed,
  'member.left': m.did_member_left,
  'service.made': m.did_service_made,
  'identifier.added': m.did_identifier_added,
  'identifier.removed': m.did_identifier_removed,
  'team.made': m.did_team_made,
  'team.renamed': m.did_team_renamed,
  'team.removed': m.did_team_removed,
  'team.joined': m.did_team_joined,
  'team.left': m.did_team_left,
  'group.made': m.did_group_made,
  'group.renamed': m.did_group_renamed,
  'group.moved': m.did_group_moved,
  'group.removed': m.did_group_removed,
  'computer.moved': m.did_computer_moved,
  'grant.made': m.did_grant_made,
  'grant.revoked': m.did_grant_revoked,
  'approval.asked': m.did_approval_asked,
  'approval.given': m.did_approval_given,
  'approval.refused': m.did_approval_refused,
  'api_key.made': m.did_api_key_made,
  'api_key.revoked': m.did_api_key_revoked,
  'organization.made': m.did_organization_made,
  'organization.renamed': m.did_organization_renamed,
  'sign_up.asked': m.did_sign_up_asked,
  'sign_up.made': m.did_sign_up_made,
  'email.asked': m.did_email_asked,
  'email.taken_back': m.did_email_taken_back,
  'relay.changed': m.did_relay_changed,
  'organization.quotas_set': m.did_organization_quotas_set,
} as const satisfies Record<AuditAction, () => string>;

/** What was done; an action that this page does not know yet is named as the relay names it. */
export const actionWords = (action: string) =>
  new Map<string, () => string>(Object.entries(ACTIONS)).get(action)?.() ?? action;

const ACTORS: ReadonlyMap<string, () => string> = new Map([
  ['person', m.actor_nobody],
  ['agent', m.actor_agent],
  ['command', m.actor_command],
  ['relay', m.actor_relay],
]);

/** An actor whose name is not known. */
export const actorWords = (kind: string) => ACTORS.get(kind)?.() ?? kind;

const OBJECTS: ReadonlyMap<string, () => string> = new Map([
  ['person', m.person],
  ['computer', m.computer],
  ['team', m.team],
  ['group', m.group],
  ['role', m.role],
  ['organization', m.organization],
  ['sign_in', m.object_sign_in],
  ['session', m.object_session],
  ['token', m.object_token],
  ['relay', m.object_relay],
  ['approval', m.object_approval],
  ['grant', m.object_grant],
  ['audit', m.object_audit],
  ['api_key', m.object_api_key],
  ['invitation', m.object_invitation],
  ['email_address', m.object_email_address],
  ['field', m.object_field],
]);

export const objectWords = (kind: string) => OBJECTS.get(kind)?.() ?? kind;

/** What is called what; undefined: not known here. */
export interface Names {
  of(kind: string, id: string): string | undefined;
  roles: readonly { id: string; name: string }[];
}

/** The end of an id, which tells it from others on a page. */
export const short = (id: string) => (id.length > 12 ? `…${id.slice(-8)}` : id);

type Value = (value: string, names: Names) => string;

const plain: Value = (value) => value;
const permissions: Value = (value) =>
  value
    .split(' ')
    .map((word) => permissionWords.get(word)?.() ?? word)
    .join(', ');
const role: Value = (value, { roles }) => roleWords(value, roles);
const named =
  (kind: string): Value =>
  (id, names) =>
    id ? (names.of(kind, id) ?? short(id)) : '–';
/** Of 'kind id'. */
const place: Value = (value, names) => {
  const [kind = '', id = ''] = value.split(' ');
  return id ? `${objectWords(kind)} ${named(kind)(id, names)}` : objectWords(kind);
};
const ended: Value = (value) => {
  const reason = EndReason[value.toUpperCase() as keyof typeof EndReason];
  return typeof reason === 'number' ? reasonWords(reason) : value;
};
const WHY: ReadonlyMap<string, () => string> = new Map([
  ['password', m.wrong_password],
  ['tries', m.too_many_passwords],
]);

const DETAILS: ReadonlyMap<string, readonly [() => string, Value]> = new Map([
  ['name', [m.detail_name, plain]],
  ['code', [m.detail_code, plain]],
  ['note', [m.detail_note, plain]],
  ['uses', [m.detail_uses, plain]],
  ['times', [m.detail_times, plain]],
  ['browser', [m.detail_browser, browserWords]],
  ['reason', [m.detail_reason, ended]],
  ['why', [m.detail_why, (value) => WHY.get(value)?.() ?? value]],
  ['permission', [m.detail_permission, permissions]],
  ['permissions', [m.detail_permissions, permissions]],
  ['permissions_before', [m.detail_permissions_before, permissions]],
  ['scopes', [m.detail_scopes, permissions]],
  ['host_name', [m.detail_host_name, plain]],
  ['format', [m.detail_format, plain]],
  ['kind', [m.detail_kind, plain]],
  ['text', [m.detail_text, plain]],
  ['key', [m.detail_text, plain]],
  ['role', [m.role, role]],
  ['email', [m.email, plain]],
  ['invited_by', [m.detail_invited_by, named('person')]],
  ['replaced', [m.detail_replaced, plain]],
  ['role_before', [m.detail_role_before, role]],
  ['added', [m.detail_added, permissions]],
  ['taken', [m.detail_taken, permissions]],
  ['sign_ins_ended', [m.detail_sign_ins_ended, plain]],
  ['sign_in_before', [m.detail_sign_in_before, short]],
  ['token', [m.object_token, short]],
  ['subject', [m.detail_subject, place]],
  ['object', [m.detail_object, place]],
  ['person', [m.person, named('person')]],
  ['computer', [m.computer, named('computer')]],
  ['group', [m.group, named('group')]],
  ['parent', [m.detail_parent, named('group')]],
  ['organization_name', [m.organization, plain]],
  ['sign_up', [m.detail_sign_up, (value) => (value === 'open' ? m.yes() : m.no())]],
  ['staff_domains_added', [m.detail_domains_added, plain]],
  ['staff_domains_removed', [m.detail_domains_removed, plain]],
  ['split_from', [m.detail_split_from, named('computer')]],
  ['tags', [m.detail_tags, plain]],
  ['tag', [m.detail_tag, plain]],
  ['untag', [m.detail_untag, plain]],
  ['comment', [m.detail_comment, plain]],
  ['fields', [m.detail_fields, plain]],
]);

/** What else there is to say, a line each; what is empty is left out. */
export function detailLines(details: Readonly<Record<string, string>>, names: Names): string[] {
  const { settings, settings_before: before, ...others } = details;
  const changed = settings === undefined && before === undefined ? [] : changeLines(before, settings);
  const rest = Object.entries(others)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => {
      const [label, words] = DETAILS.get(name) ?? [() => name, plain];
      return m.detail({ label: label(), value: words(value, names) });
    });
  return [...rest, ...changed];
}
