import { describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../../i18n/access';
import { reachWords } from './reach';

const place = { person: { kind: 'person', id: 'p' }, object: { kind: 'computer', id: 'c' } };

describe('what a member may on a computer', () => {
  // Rule: what is allowed is said in words, with the role, grant, team and group that give it.
  it('is said with what gives it', () => {
    const on = { kind: 'group', id: 'g', name: 'Berlin' };
    const team = { kind: 'team', id: 't', name: 'Night shift' };
    const words = reachWords({
      ...place,
      allowed: ['control', 'about', 'connect', 'see'],
      by: [
        { grant: '', role: 'member', role_name: '', permissions: ['account', 'about'] },
        { grant: '', role: 'viewer', role_name: '', permissions: ['see', 'connect'] },
        { grant: 'a', role: 'r1', role_name: 'Night operator', on, team, permissions: ['control'] },
      ],
      missing: [{ grant: '', role: '', role_name: '', permissions: ['power'], reason: 'no_grant' }],
    });
    expect(words).toEqual({
      may: 'See a computer and its inventory · Watch the screen · Control mouse and keyboard',
      why: [
        'Viewer, on the whole organization',
        'Night operator, given to the team Night shift on the group Berlin',
      ],
    });
  });

  // Rule: what is missing is said with what would give it, and from when on.
  it('is said with what is missing', () => {
    const on = { kind: 'computer', id: 'c', name: 'desk' };
    const lacking = { grant: 'a', role: 'viewer', role_name: '', on, permissions: ['connect'] };
    const { may, why } = reachWords({
      ...{ ...place, allowed: ['about'], by: [] },
      missing: [
        { ...lacking, reason: 'outside_hours', from: '2026-12-07T08:00:00Z' },
        { ...lacking, reason: 'needs_approval' },
      ],
    });
    expect(may).toBe('Nothing');
    expect(why[0]).toMatch(
      /^Watch the screen: outside the allowed hours, from .*2026.* on \(Viewer, given on the computer desk\)$/,
    );
    expect(why[1]).toBe(
      'Watch the screen: a second person has to approve (Viewer, given on the computer desk)',
    );
  });

  it('is everything, or nothing and why', () => {
    const all = Object.keys(PERMISSIONS.computers);
    expect(reachWords({ ...place, allowed: all, by: [], missing: [] }).may).toBe('Everything');
    const none = { grant: '', role: '', role_name: '', permissions: all, reason: 'inactive' } as const;
    expect(reachWords({ ...place, allowed: [], by: [], missing: [none] })).toEqual({
      may: 'Nothing',
      why: ['Everything: the account is inactive'],
    });
    const nobody = { ...none, reason: 'no_grant' } as const;
    expect(reachWords({ ...place, allowed: [], by: [], missing: [nobody] }).why).toEqual([
      'nothing gives it',
    ]);
  });
});
