/** The operating system of whoever looks at the pages, as far as their browser says. */
export type System = 'windows' | 'mac' | 'other';

export function thisSystem(): System {
  const agent = navigator.userAgent;
  if (/Windows/.test(agent)) return 'windows';
  return /Mac|iPhone|iPad/.test(agent) ? 'mac' : 'other';
}
