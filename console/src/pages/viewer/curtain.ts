// What the viewer says while there is no picture.
import { codeWords, endWords } from '../../i18n/words';
import { m } from '../../paraglide/messages.js';
import { Code, EndReason } from '../../core/wire/oriel/v1/session_pb';
import type { Session } from './session.svelte';

/** What is waited for; undefined: nothing, or it is over. */
export function waitingWords(session: Session, name: string): { title: string; text: string } | undefined {
  const { state } = session;
  switch (state.name) {
    case 'relay':
      return { title: m.wait_relay(), text: m.wait_relay_text() };
    case 'asking':
      return { title: m.wait_asking({ name }), text: session.crowded ? m.relay_crowded() : '' };
    case 'offline':
      return { title: m.wait_offline({ name }), text: m.wait_offline_text() };
    case 'apart':
      return { title: m.wait_apart(), text: m.wait_apart_text({ name }) };
    case 'away':
      return {
        title: state.silent ? m.wait_silent({ name }) : m.wait_away(),
        text: m.wait_away_text({ name }),
      };
    case 'connecting':
      return {
        title: m.wait_asking({ name }),
        text: session.crowded ? m.relay_crowded() : m.wait_connecting_text(),
      };
    case 'connected':
    case 'live':
      if (session.displayGone !== undefined)
        return { title: m.wait_display({ name }), text: session.displayGone || m.wait_display_text() };
      return state.name === 'live' ? undefined : { title: m.wait_picture(), text: '' };
    default:
      return undefined;
  }
}

interface Ended {
  title: string;
  text: string;
  detail?: string; // in the other side's words
  bad?: boolean;
  asks?: boolean; // for the approval of a second person
}

/** How the session ended; undefined: it did not. */
export function endedWords(state: Session['state'], name: string): Ended | undefined {
  if (state.name === 'forged') return { title: m.forged_title(), text: m.forged_text({ name }), bad: true };
  if (state.name !== 'ended') return undefined;
  const { reason, code, detail } = state;
  const { OPERATOR, ENDED, CUSTOMER, TIME_UP } = EndReason;
  const calm = [OPERATOR, ENDED, CUSTOMER, TIME_UP].includes(reason);
  const unknown = code === Code.UNSPECIFIED || codeWords(code) === '' || code === Code.INTERNAL;
  return {
    title: calm ? m.ended_title() : m.failed_title(),
    text: endWords(reason, code),
    detail: !calm && unknown ? detail : '',
    bad: !calm && code !== Code.NEEDS_APPROVAL,
    asks: code === Code.NEEDS_APPROVAL,
  };
}
