/** Which ends are losses: what comes back by itself is waited for (core/viewer/viewer.ts). */
import { Code, EndReason } from '../wire/oriel/v1/session_pb';

/** After 'gone' the computer's agent is away for a while; 'lost' is the connection only. */
export type Loss = 'gone' | 'lost' | undefined;

const PASSING = new Set([Code.UNAVAILABLE, Code.BUSY, Code.GRANT_EXPIRED, Code.GRANT_REPLAYED]);
/** With these the agent, or the helper that shows the desktop, says that it is not there now. */
const NOT_NOW = new Set([EndReason.REFUSED, EndReason.FAILED]);

/** Whether a new session may be had after this end without anybody being asked again. */
export function lossOf(reason: EndReason, code: Code): Loss {
  if (reason === EndReason.AGENT_STOPPED || reason === EndReason.OFFLINE) return 'gone';
  if (NOT_NOW.has(reason) && code === Code.UNAVAILABLE) return 'gone';
  return reason === EndReason.NETWORK || reason === EndReason.LOST ? 'lost' : undefined;
}

/** Whether the same request may do soon. */
export const passes = (code: Code) => PASSING.has(code);
