import { describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../../i18n/access';
import { reachWords } from './reach';

const place = { person: { kind: 'person', id: 'p' }, object: { kind: 'computer', id: 'c' } };
const roles = [{ id: 'r1', name: 'Night operator' }];

describe('what a member may on a computer', () => {
  // Rule: what is allowed is said in words, with the role, grant, team and group that give it.
  it('is said with what gives it', () => {
    const on = { kind: 'group', id: 'g', name: 'Berlin' };
    const team = { kind: 'team', id: 't', name: 'Night shift' };
    const words = reachWords(
      {
        ...place,
        allowed: ['control', 'about', 'connect', 'see'],
        by: [
          { grant: '', role: 'member', permissions: ['account', 'about'] },
          { grant: '', role: 'viewer', permissions: ['see', 'connect'] },
          { grant: 'a', role: 'r1', on, team, permissions: ['control'] },
        ],
        missing: [{ grant: '', role: '', permissions: ['power'], reason: 'no_grant' }],
      },
      roles,
    );
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
    const lacking = { grant: 'a', role: 'viewer', on, permissions: ['connect'] };
    const { may, why } = reachWords(
      {
        ...{ ...place, allowed: ['about'], by: [] },
        missing: [
          { ...lacking, reason: 'outside_hours', from: '2026-12-07T08:00:00Z' },
          { ...lacking, reason: 'needs_approval' },
        ],
      },
      roles,
    );
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
    expect(reachWords({ ...place, allowed: all, by: [], missing: [] }, roles).may).toBe('Everything');
    const none = { grant: '', role: '', permissions: all, reason: 'inactive' } as const;
    expect(reachWords({ ...place, allowed: [], by: [], missing: [none] }, roles)).toEqual({
      may: 'Nothing',
      why: ['Everything: the account is inactive'],
    });
    const nobody = { ...none, reason: 'no_grant' } as const;
    expect(reachWords({ ...place, allowed: [], by: [], missing: [nobody] }, roles).why).toEqual([
      'nothing gives it',
    ]);
  });
});
