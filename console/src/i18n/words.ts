/** Words for what programs tell apart by number or code: sessions and what they show. */
import type { Stage } from '../core/viewer/delays';
import { Lack, Preset } from '../core/wire/oriel/v1/channel_pb';
import { Code, EndReason, Path, Scope } from '../core/wire/oriel/v1/session_pb';
import { m } from '../paraglide/messages.js';

/** A stage of a picture's way. */
export function stageWords(stage: Stage): string {
  switch (stage) {
    case 'capture':
      return m.stage_capture();
    case 'convert':
      return m.stage_convert();
    case 'encode':
      return m.stage_encode();
    case 'network':
      return m.stage_network();
    case 'wait':
      return m.stage_wait();
    case 'decode':
      return m.stage_decode();
    case 'shown':
      return m.stage_shown();
  }
}

/** Why a session failed or was refused; empty if the code says nothing more than the reason. */
export function codeWords(code: Code): string {
  switch (code) {
    case Code.INTERNAL:
      return m.code_internal();
    case Code.UNIMPLEMENTED:
      return m.code_unimplemented();
    case Code.INVALID:
      return m.code_invalid();
    case Code.FORBIDDEN:
      return m.code_forbidden();
    case Code.NEEDS_APPROVAL:
      return m.code_needs_approval();
    case Code.NOT_FOUND:
      return m.code_not_found();
    case Code.BUSY:
      return m.code_busy();
    case Code.UNAVAILABLE:
      return m.code_unavailable();
    case Code.QUOTA:
      return m.code_quota();
    case Code.GRANT_EXPIRED:
      return m.code_grant_expired();
    case Code.GRANT_REPLAYED:
      return m.code_grant_replayed();
    case Code.GRANT_COMPUTER:
      return m.code_grant_computer();
    case Code.GRANT_FINGERPRINT:
      return m.code_grant_fingerprint();
    case Code.GRANT_SIGNATURE:
      return m.code_grant_signature();
    case Code.NO_DISPLAY:
      return m.code_no_display();
    case Code.NO_CODEC:
      return m.code_no_codec();
    case Code.TWO_MACHINES:
      return m.code_two_machines();
    case Code.SCOPE:
      return m.code_scope();
    default:
      return '';
  }
}

/** What a computer's display cannot do, or not well; empty if this page does not know it. */
export function lackWords(lack: Lack): string {
  switch (lack) {
    case Lack.INPUT:
      return m.lack_input();
    case Lack.DAMAGE:
      return m.lack_damage();
    case Lack.POINTER_SHAPE:
      return m.lack_pointer_shape();
    case Lack.SHARED_MEMORY:
      return m.lack_shared_memory();
    default:
      return '';
  }
}

/** Why a running session cannot do other things, and what to do next. */
export function unchangedWords({ why, detail }: { why: string; detail: string }): string {
  if (why === 'relay-away') return m.unchanged_relay_away();
  if (why === 'relay-old') return m.unchanged_relay_old();
  return detail ? m.problem_detail({ detail }) : m.unchanged();
}

/** How a session ended, in a word or two: for the journal. */
export function reasonWords(reason: EndReason, code = Code.UNSPECIFIED): string {
  switch (reason) {
    case EndReason.OPERATOR:
      return m.reason_operator();
    case EndReason.ENDED:
      if (code === Code.NOT_FOUND) return m.reason_gone();
      return code === Code.FORBIDDEN ? m.reason_access() : m.reason_ended();
    case EndReason.CUSTOMER:
      return m.reason_customer();
    case EndReason.NETWORK:
      return m.reason_network();
    case EndReason.AGENT_STOPPED:
      return m.reason_agent_stopped();
    case EndReason.REFUSED:
      return m.reason_refused();
    case EndReason.OFFLINE:
      return m.reason_offline();
    case EndReason.TIMEOUT:
      return m.reason_timeout();
    case EndReason.LOST:
      return m.reason_lost();
    case EndReason.FAILED:
      return m.reason_failed();
    case EndReason.UNRENEWED:
      return m.reason_unrenewed();
    case EndReason.TIME_UP:
      return m.reason_time_up();
    default:
      return m.reason_unknown();
  }
}

/** How a session ended, as a sentence: for the viewer. */
export function endWords(reason: EndReason, code: Code): string {
  switch (reason) {
    case EndReason.OPERATOR:
      return m.end_operator();
    case EndReason.ENDED:
      if (code === Code.NOT_FOUND) return m.end_gone();
      return code === Code.FORBIDDEN ? m.end_access() : m.end_ended();
    case EndReason.CUSTOMER:
      return m.end_customer();
    case EndReason.OFFLINE:
      return m.end_offline();
    case EndReason.TIMEOUT:
      return m.end_timeout();
    case EndReason.UNRENEWED:
      return m.end_unrenewed();
    case EndReason.TIME_UP:
      return m.end_time_up();
    default:
      return codeWords(code) || m.end_failed();
  }
}

export const scopeWords = (scopes: readonly Scope[]) =>
  scopes.includes(Scope.CONTROL) ? m.mode_control() : m.mode_view();

export function pathWords(path: Path): string {
  if (path === Path.DIRECT) return m.path_direct();
  return path === Path.RELAYED ? m.path_relayed() : m.path_unknown();
}

const BROWSERS = [
  ['Edge', /\bEdg(?:e|A|iOS)?\/(\d+)/],
  ['Opera', /\bOPR\/(\d+)/],
  ['Firefox', /\b(?:Firefox|FxiOS)\/(\d+)/],
  ['Chrome', /(?:Chrome|CriOS)\/(\d+)/],
  ['Safari', /\bVersion\/(\d+).*Safari/],
] as const;
const SYSTEMS = [
  ['Android', /Android/],
  ['iOS', /iPhone|iPad/],
  ['Windows', /Windows/],
  ['macOS', /Mac OS X/],
  ['ChromeOS', /CrOS/],
  ['Linux', /Linux/],
] as const;

/** A browser's User-Agent as people say it: Firefox 141, Windows. Others are left as they are. */
export function browserWords(agent: string): string {
  for (const [name, pattern] of BROWSERS) {
    const version = pattern.exec(agent)?.[1];
    const system = SYSTEMS.find(([, sign]) => sign.test(agent))?.[0];
    if (version !== undefined) return [`${name} ${version}`, system].filter(Boolean).join(', ');
  }
  return agent;
}

/** A preset of the picture; one that is not known counts as Auto, as it does for the agent. */
export function presetWords(preset: Preset): string {
  switch (preset) {
    case Preset.SPEED:
      return m.preset_speed();
    case Preset.BALANCED:
      return m.preset_balanced();
    case Preset.SHARP:
      return m.preset_sharp();
    default:
      return m.preset_auto();
  }
}
