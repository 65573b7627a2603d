/** Words for what the relay refuses, by the code of the problem. */
import { ApiError, type ProblemCode } from '../core/relay/api';
import { m } from '../paraglide/messages.js';

type Words = (error: ApiError) => string;

/** The relay's own sentence, where it says more than the code does. */
const said: Words = (error) =>
  error.message ? m.problem_detail({ detail: error.message }) : m.problem_unknown();

/** Every code that the relay's description lists, and what this page makes up itself. */
export const PROBLEMS = {
  unreachable: m.problem_unreachable,
  cookie_refused: (error) => m.problem_cookie_refused({ address: error.message }),

  unauthorized: m.problem_unauthorized,
  forbidden: m.problem_forbidden,
  needs_approval: m.code_needs_approval,
  bad_credentials: m.problem_bad_credentials,
  too_many_tries: (error) =>
    m.problem_too_many_tries({ minutes: Math.max(Math.ceil((error.retryAfter ?? 60) / 60), 1) }),
  busy: m.problem_sign_ins_busy,
  owner_exists: m.problem_owner_exists,
  owner_token: said,
  invitation: said,
  account_exists: said,
  member_already: said,
  recovery_token: said,
  address_not_allowed: said,
  sign_up_closed: m.problem_sign_up_closed,
  sign_up_link: m.problem_sign_up_link,
  email_link: m.problem_email_link,
  staff_domain: m.problem_staff_domain,
  no_mail_server: m.problem_no_mail_server,
  too_many_tabs: m.problem_too_many_tabs,
  too_many_requests: (error) => m.problem_too_many_requests({ seconds: error.retryAfter ?? 1 }),
  metrics_token: said,

  invalid: said,
  not_found: m.problem_not_found,
  conflict: m.problem_conflict,
  ended: m.problem_ended,
  cursor: m.problem_cursor,
  idempotency_key_reused: m.problem_mismatch,
  idempotency_key_in_use: m.problem_in_use,
  no_file: said,
  read_only: said,

  offline: m.problem_offline,
  no_answer: m.problem_no_answer,
  agent: said,
  unimplemented: m.code_unimplemented,
  blocked: m.problem_blocked,
  two_machines: m.code_two_machines,
  no_preview: m.problem_no_preview,
  too_many_sessions: m.problem_too_many_sessions,
  session_moved: m.problem_session_moved,
  ticket_used: m.problem_ticket_used,
  offer: said,
  session_scopes: said,
  session_changing: said,

  which_organization: m.which_organization,
  gives: m.problem_gives,
  own_access: m.problem_own_access,
  last_owner: m.problem_last_owner,
  limit_reached: m.problem_limit_reached,
  quota: said,
  in_use: m.problem_still_in_use,
  last_identifier: m.problem_last_identifier,
  group_tree: m.problem_group_tree,
  no_approval: m.problem_no_approval,

  internal: m.problem_internal,
  overloaded: m.problem_busy,
  unavailable: m.problem_unavailable,
  nodes_apart: m.problem_nodes_apart,
  disk_full: m.problem_disk_full,
  draining: m.problem_draining,
  timeout: m.problem_timeout,
  too_large: m.problem_too_large,
  cross_origin: m.problem_cross_origin,
  malformed: m.problem_mismatch,
  method_not_allowed: m.problem_mismatch,
  no_route: m.problem_mismatch,
  no_upgrade: m.problem_mismatch,
  not_acceptable: m.problem_mismatch,
  unsupported_media_type: m.problem_mismatch,
} satisfies Record<ProblemCode | 'unreachable' | 'cookie_refused', Words | (() => string)>;

const known = (code: string): code is keyof typeof PROBLEMS => Object.hasOwn(PROBLEMS, code);

/** What went wrong with a call of the REST interface, and what to do. */
export function problemWords(error: unknown): string {
  if (!(error instanceof ApiError)) return m.problem_unknown();
  const words: Words = known(error.code) ? PROBLEMS[error.code] : said;
  return words(error);
}
