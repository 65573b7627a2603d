/** Words for what the relay says of a computer: apart from those of sessions, as the first page has these alone. */
import { Computer_Status } from '../core/wire/oriel/v1/live_pb';
import { m } from '../paraglide/messages.js';

export function statusWords(status: Computer_Status): string {
  switch (status) {
    case Computer_Status.ONLINE:
      return m.status_online();
    case Computer_Status.IN_SESSION:
      return m.status_in_session();
    case Computer_Status.OFFLINE:
      return m.status_offline();
    case Computer_Status.NEVER_SEEN:
      return m.status_never_seen();
    case Computer_Status.BLOCKED:
      return m.status_blocked();
    default:
      return m.status_unknown();
  }
}

/** The product's name of an operating system, for those that report only a kernel's. */
export function osWords(os: string | undefined): string {
  return { linux: 'Linux', windows: 'Windows', darwin: 'macOS' }[os ?? ''] ?? m.os_unknown();
}
