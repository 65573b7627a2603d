package config

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commands about people, as Parse returns them.
const (
	OrgList   = "org list"
	OrgCreate = "org create <code> <name>"
	OrgRename = "org rename <code>"
	OrgAllow  = "org allow <code> <network>"
	QuotaShow = "org quota show <code>"
	QuotaSet  = "org quota set <code>"

	RelaySettings = "relay settings"
	RelaySet      = "relay set"

	PersonList       = "person list"
	PersonInvite     = "person invite <email>"
	PersonService    = "person service <name>"
	PersonRole       = "person role <login> <role>"
	PersonActivate   = "person activate <login>"
	PersonDeactivate = "person deactivate <login>"
	PersonRemove     = "person remove <login>"

	TeamList    = "team list"
	TeamCreate  = "team create <name>"
	TeamRename  = "team rename <team> <name>"
	TeamRemove  = "team remove <team>"
	TeamMembers = "team members <team>"
	TeamJoin    = "team join <team> <login>"
	TeamLeave   = "team leave <team> <login>"

	GroupList   = "group list"
	GroupCreate = "group create <name>"
	GroupRename = "group rename <group> <name>"
	GroupMove   = "group move <group>"
	GroupRemove = "group remove <group>"
	GroupPut    = "group put <computer>"

	RoleList   = "role list"
	RoleCreate = "role create <name> <permissions>"
	RoleRemove = "role remove <id>"

	GrantList   = "grant list"
	GrantCreate = "grant create <role>"
	GrantRevoke = "grant revoke <id>"

	APIKeyList   = "api-key list"
	APIKeyCreate = "api-key create <name> <permissions>"
	APIKeyRevoke = "api-key revoke <id>"
)

// Admin is what a command about people was told. Names of things are as a person types
// them: an organization's code, a login, the id or the name of a role.
type Admin struct {
	Organization string // code; empty: the first one
	Code, Name   string // of an organization, a team, a group, a role or a key
	NewCode      string
	Network      string // as in 192.0.2.0/24
	Owner        string // login of who owns a new organization
	Login        string // of a person, or the name of a service account
	Email        string
	Role         string
	Permissions  []string
	ID           string
	Team         string // id or name
	Group        string // id, name, or names from the top with slashes between
	Into         string // the group that something is put into, named likewise; empty: none
	Computer     string // id or name
	Until        *time.Time
	Approval     bool
	Lifetime     time.Duration
	SignUp       *bool            // nil: as it is
	StaffDomains []string         // nil: as they are
	Quotas       map[string]int64 // by kind, those that are to change; Unlimited: any number
}

// Unlimited is no quota.
const Unlimited = -1

type inOrganization struct {
	Organization string `help:"Code of the organization (default: the first)." placeholder:"CODE"`
}

// adminFlags are the commands about people.
type adminFlags struct {
	Org struct {
		List   struct{} `cmd:"" help:"List all organizations: code and name."`
		Create struct {
			Code  string `arg:"" help:"2 to 32 letters a to z, digits and hyphens."`
			Name  string `arg:"" help:"Shown to people."`
			Owner string `help:"Who owns it: a login." required:"" placeholder:"LOGIN"`
		} `cmd:"" help:"Make an organization."`
		Rename struct {
			Code    string `arg:"" help:"As it is."`
			Title   string `help:"Another name." placeholder:"NAME"`
			NewCode string `name:"code" help:"Another code." placeholder:"CODE"`
		} `cmd:"" help:"Give an organization another name or code."`
		Allow struct {
			Code    string `arg:""`
			Network string `arg:"" help:"As in 192.0.2.0/24, or 192.0.2.7/32 for one address."`
		} `cmd:"" help:"Let members of an organization in from one more network: the way back in for an owner whose address changed. On a relay that runs it takes effect within seconds."`
		Quota struct {
			Show struct {
				Code string `arg:""`
			} `cmd:"" help:"List how much an organization has and may have: kind, use and limit."`
			Set struct {
				Code        string `arg:""`
				Computers   string `help:"How many computers." placeholder:"N"`
				People      string `help:"How many people, with service accounts." placeholder:"N"`
				Sessions    string `help:"How many sessions at once." placeholder:"N"`
				Storage     string `help:"Bytes of previews and inventories, such as 500MB." placeholder:"SIZE"`
				Invitations string `help:"How many open invitations." placeholder:"N"`
			} `cmd:"" help:"Limit what an organization may have; unlimited takes a limit away, and what is not named stays. What is there already stays, too."`
		} `cmd:"" help:"What an organization may have."`
	} `cmd:"" help:"Organizations."`
	Relay struct {
		Settings struct{} `cmd:"" help:"Print what holds for the whole relay: whether anybody may sign up, and the domains of its staff."`
		Set      struct {
			SignUp       string `help:"open or closed: whether anybody may make an account. Needs a mail server." placeholder:"WORD"`
			StaffDomains string `help:"Domains of e-mail addresses that only the first organization's people sign in with; all of them, none: empty." placeholder:"DOMAIN,…" default:"-"`
		} `cmd:"" help:"Change what holds for the whole relay."`
	} `cmd:"" help:"The relay as a whole."`
	Person struct {
		inOrganization
		List   struct{} `cmd:"" help:"List members: id, kind, state, role, name and e-mail address."`
		Invite struct {
			Email  string `arg:""`
			Role   string `help:"Id or name of a role." default:"member" placeholder:"ROLE"`
			Called string `help:"How to address them." placeholder:"NAME"`
		} `cmd:"" help:"Print a link with which somebody becomes a member, good once and for a week."`
		Service struct {
			Name string `arg:""`
			Role string `help:"Id or name of a role." default:"member" placeholder:"ROLE"`
		} `cmd:"" help:"Make a service account, which has API keys and does not sign in."`
		Role struct {
			Login string `arg:""`
			Role  string `arg:""`
		} `cmd:"" help:"Give a member another role."`
		Activate   loginArg `cmd:"" help:"Let a member sign in again."`
		Deactivate loginArg `cmd:"" help:"Sign a member out and let them in no more."`
		Remove     loginArg `cmd:"" help:"End a membership, with its grants, teams and keys."`
	} `cmd:"" help:"Members of an organization."`
	Team struct {
		inOrganization
		List   struct{} `cmd:"" help:"List teams: id, name and how many are in it."`
		Create struct {
			Name string `arg:""`
		} `cmd:"" help:"Make a team."`
		Rename struct {
			teamArg
			Name string `arg:""`
		} `cmd:"" help:"Give a team another name."`
		Remove  teamArg `cmd:"" help:"Remove a team and its grants."`
		Members teamArg `cmd:"" help:"List who is in a team: id, kind, state, role, name and e-mail address."`
		Join    struct {
			teamArg
			loginArg
		} `cmd:"" help:"Put a member into a team."`
		Leave struct {
			teamArg
			loginArg
		} `cmd:"" help:"Take a member out of a team."`
	} `cmd:"" help:"Teams of members."`
	Group struct {
		inOrganization
		List   struct{} `cmd:"" help:"List groups: id, names from the top, and how many computers are in it."`
		Create struct {
			Name string `arg:""`
			Into string `name:"in" help:"The group around it (default: none)." placeholder:"GROUP"`
		} `cmd:"" help:"Make a group."`
		Rename struct {
			groupArg
			Name string `arg:""`
		} `cmd:"" help:"Give a group another name."`
		Move struct {
			groupArg
			Into string `help:"The group around it (default: none)." placeholder:"GROUP"`
		} `cmd:"" help:"Move a group with all that is in it."`
		Remove groupArg `cmd:"" help:"Remove an empty group with its grants and policy."`
		Put    struct {
			Computer string `arg:"" help:"Its id or name."`
			Into     string `help:"The group; a computer is in one (default: none)." placeholder:"GROUP"`
		} `cmd:"" help:"Put a computer into a group."`
	} `cmd:"" help:"Groups of computers."`
	Role struct {
		inOrganization
		List   struct{} `cmd:"" help:"List roles: id, name and permissions."`
		Create struct {
			Name        string   `arg:""`
			Permissions []string `arg:"" help:"Words, such as: see connect control."`
		} `cmd:"" help:"Make a role."`
		Remove struct {
			ID string `arg:""`
		} `cmd:"" help:"Remove a role that nobody has."`
	} `cmd:"" help:"Roles."`
	Grant struct {
		inOrganization
		List   struct{} `cmd:"" help:"List grants: id, who, role and on what."`
		Create struct {
			Role     string `arg:""`
			Person   string `help:"Who gets it: a login." placeholder:"LOGIN" xor:"who" required:""`
			Team     string `help:"Or a team: its name." placeholder:"NAME" xor:"who" required:""`
			Group    string `help:"On a group: its name, or names from the top with slashes between." placeholder:"NAME" xor:"what"`
			Computer string `help:"On a computer: its id or name (default: on everything)." placeholder:"COMPUTER" xor:"what"`
			Until    string `help:"Its end, such as 2027-01-31T18:00:00Z." placeholder:"TIME"`
			Approval bool   `help:"A second person has to agree each time."`
		} `cmd:"" help:"Give a role on something."`
		Revoke struct {
			ID string `arg:""`
		} `cmd:"" help:"Take a grant back."`
	} `cmd:"" help:"Who has which role on what."`
	APIKey struct {
		inOrganization
		List   struct{} `cmd:"" help:"List keys: id, owner, name and permissions."`
		Create struct {
			Name        string   `arg:"" help:"What uses it."`
			Permissions []string `arg:"" help:"Words, such as: see journal."`
			Service     string   `help:"Name of the service account that owns it." required:"" placeholder:"NAME"`
			Days        int      `help:"How long it is good; 0: for ever." default:"90" placeholder:"N"`
		} `cmd:"" help:"Print a new key for the API."`
		Revoke struct {
			ID string `arg:""`
		} `cmd:"" help:"Make a key worthless."`
	} `cmd:"" name:"api-key" help:"Keys for the API."`
}

type loginArg struct {
	Login string `arg:"" help:"E-mail address, user name or number, or a service account's name."`
}

type teamArg struct {
	Team string `arg:"" help:"Its id or name."`
}

type groupArg struct {
	Group string `arg:"" help:"Its id or name, or names from the top with slashes between."`
}

// admin is what command was told.
func (f *adminFlags) admin(command string, p *Problems) Admin {
	switch command {
	case OrgCreate:
		return Admin{Code: f.Org.Create.Code, Name: f.Org.Create.Name, Owner: f.Org.Create.Owner}
	case OrgRename:
		return Admin{Code: f.Org.Rename.Code, Name: f.Org.Rename.Title, NewCode: f.Org.Rename.NewCode}
	case OrgAllow:
		return Admin{Code: f.Org.Allow.Code, Network: f.Org.Allow.Network}
	case QuotaShow:
		return Admin{Code: f.Org.Quota.Show.Code}
	case QuotaSet:
		q := f.Org.Quota.Set
		return Admin{Code: q.Code, Quotas: p.quotas(map[string]string{"computers": q.Computers, "people": q.People,
			"sessions": q.Sessions, "storage": q.Storage, "invitations": q.Invitations})}
	}
	if command == RelaySet {
		return f.relay(p)
	}
	area, _, _ := strings.Cut(command, " ")
	in := map[string]string{"person": f.Person.Organization, "team": f.Team.Organization, "group": f.Group.Organization, "role": f.Role.Organization, "grant": f.Grant.Organization, "api-key": f.APIKey.Organization}
	a := Admin{Organization: in[area]}
	switch command {
	case PersonInvite:
		a.Email, a.Role, a.Name = f.Person.Invite.Email, f.Person.Invite.Role, f.Person.Invite.Called
	case PersonService:
		a.Name, a.Role = f.Person.Service.Name, f.Person.Service.Role
	case PersonRole:
		a.Login, a.Role = f.Person.Role.Login, f.Person.Role.Role
	case PersonActivate:
		a.Login = f.Person.Activate.Login
	case PersonDeactivate:
		a.Login = f.Person.Deactivate.Login
	case PersonRemove:
		a.Login = f.Person.Remove.Login
	case TeamCreate:
		a.Name = f.Team.Create.Name
	case TeamRename:
		a.Team, a.Name = f.Team.Rename.Team, f.Team.Rename.Name
	case TeamRemove:
		a.Team = f.Team.Remove.Team
	case TeamMembers:
		a.Team = f.Team.Members.Team
	case TeamJoin:
		a.Team, a.Login = f.Team.Join.Team, f.Team.Join.Login
	case TeamLeave:
		a.Team, a.Login = f.Team.Leave.Team, f.Team.Leave.Login
	case GroupCreate:
		a.Name, a.Into = f.Group.Create.Name, f.Group.Create.Into
	case GroupRename:
		a.Group, a.Name = f.Group.Rename.Group, f.Group.Rename.Name
	case GroupMove:
		a.Group, a.Into = f.Group.Move.Group, f.Group.Move.Into
	case GroupRemove:
		a.Group = f.Group.Remove.Group
	case GroupPut:
		a.Computer, a.Into = f.Group.Put.Computer, f.Group.Put.Into
	case RoleCreate:
		a.Name, a.Permissions = f.Role.Create.Name, f.Role.Create.Permissions
	case RoleRemove:
		a.ID = f.Role.Remove.ID
	case GrantCreate:
		g := f.Grant.Create
		a.Role, a.Login, a.Team, a.Group, a.Computer, a.Approval = g.Role, g.Person, g.Team, g.Group, g.Computer, g.Approval
		if g.Until != "" {
			t, err := time.Parse(time.RFC3339, g.Until)
			if err != nil {
				p.add("until: %q is no time; write it as 2027-01-31T18:00:00Z", g.Until)
			}
			a.Until = &t
		}
	case GrantRevoke:
		a.ID = f.Grant.Revoke.ID
	case APIKeyCreate:
		k := f.APIKey.Create
		a.Name, a.Permissions, a.Login, a.Lifetime = k.Name, k.Permissions, k.Service, time.Duration(k.Days)*24*time.Hour
	case APIKeyRevoke:
		a.ID = f.APIKey.Revoke.ID
	}
	return a
}

// relay is what relay set was told.
func (f *adminFlags) relay(p *Problems) (a Admin) {
	s := f.Relay.Set
	switch s.SignUp {
	case "":
	case "open", "closed":
		yes := s.SignUp == "open"
		a.SignUp = &yes
	default:
		p.add("sign-up: %q is none of open, closed", s.SignUp)
	}
	if s.StaffDomains != "-" {
		a.StaffDomains = strings.FieldsFunc(s.StaffDomains, func(r rune) bool { return r == ',' || r == ' ' })
	}
	if a.SignUp == nil && a.StaffDomains == nil {
		p.add("say what is to change: --sign-up, --staff-domains or both")
	}
	return a
}

// quotas are those that are named: a number, for storage also with a unit, or unlimited.
func (p *Problems) quotas(said map[string]string) map[string]int64 {
	all := map[string]int64{}
	for _, kind := range slices.Sorted(maps.Keys(said)) {
		text, unit := said[kind], int64(1)
		switch text {
		case "":
			continue
		case "unlimited":
			all[kind] = Unlimited
			continue
		}
		if kind == "storage" {
			for i, name := range []string{"kB", "MB", "GB", "TB"} {
				if number, of := strings.CutSuffix(text, name); of {
					text, unit = number, int64(math.Pow10(3*(i+1)))
				}
			}
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit {
			p.add("%s: %q is no limit; write a number, for storage such as 500MB, or unlimited", kind, said[kind])
		}
		all[kind] = n * unit
	}
	if len(all) == 0 {
		p.add("say which quota is to change, such as --computers=25")
	}
	return all
}
