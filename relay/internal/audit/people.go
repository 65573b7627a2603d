package audit

// Actions about people, and what they may.
const (
	MemberInvited       Action = "member.invited"
	InvitationRevoked   Action = "member_invitation.revoked"
	MemberJoined        Action = "member.joined"
	RoleMade            Action = "role.made"
	RoleChanged         Action = "role.changed"
	RoleRemoved         Action = "role.removed"
	RoleGiven           Action = "role.given"
	MemberActivated     Action = "member.activated"
	MemberDeactivated   Action = "member.deactivated"
	MemberRemoved       Action = "member.removed"
	MemberLeft          Action = "member.left"
	ServiceMade         Action = "service.made"
	IdentifierAdded     Action = "identifier.added"
	IdentifierRemoved   Action = "identifier.removed"
	TeamMade            Action = "team.made"
	TeamRenamed         Action = "team.renamed"
	TeamRemoved         Action = "team.removed"
	TeamJoined          Action = "team.joined"
	TeamLeft            Action = "team.left"
	GroupMade           Action = "group.made"
	GroupRenamed        Action = "group.renamed"
	GroupMoved          Action = "group.moved"
	GroupRemoved        Action = "group.removed"
	ComputerMoved       Action = "computer.moved"
	GrantMade           Action = "grant.made"
	GrantRevoked        Action = "grant.revoked"
	ApprovalAsked       Action = "approval.asked"
	ApprovalGiven       Action = "approval.given"
	ApprovalRefused     Action = "approval.refused"
	KeyMade             Action = "api_key.made"
	KeyRevoked          Action = "api_key.revoked"
	OrganizationMade    Action = "organization.made"
	OrganizationRenamed Action = "organization.renamed"
	QuotasSet           Action = "organization.quotas_set"
	SignUpAsked         Action = "sign_up.asked"
	SignedUp            Action = "sign_up.made"
	EmailAsked          Action = "email.asked"
	EmailTakenBack      Action = "email.taken_back"
	RelayChanged        Action = "relay.changed"
)

var ofPeople = []Action{
	MemberInvited, InvitationRevoked, MemberJoined, RoleMade, RoleChanged, RoleRemoved, RoleGiven, MemberActivated, MemberDeactivated, MemberRemoved, MemberLeft, ServiceMade, IdentifierAdded, IdentifierRemoved, TeamMade, TeamRenamed, TeamRemoved, TeamJoined, TeamLeft, GroupMade, GroupRenamed, GroupMoved, GroupRemoved, ComputerMoved, GrantMade, GrantRevoked, ApprovalAsked, ApprovalGiven, ApprovalRefused, KeyMade, KeyRevoked, OrganizationMade, OrganizationRenamed, QuotasSet, SignUpAsked, SignedUp, EmailAsked, EmailTakenBack, RelayChanged,
}
