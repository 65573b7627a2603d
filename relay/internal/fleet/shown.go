package fleet

import (
	"strings"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/store"
)

// Words of the display's state in the database.
var displays = map[orielv1.Status_Display]string{
	orielv1.Status_DISPLAY_NONE:  "none",
	orielv1.Status_DISPLAY_READY: "ready",
	orielv1.Status_DISPLAY_DEMO:  "demo",
}

func display(word string) orielv1.Status_Display {
	for d, w := range displays {
		if w == word {
			return d
		}
	}
	return orielv1.Status_DISPLAY_UNSPECIFIED
}

func shown(row store.Computer, operators []string, now int64) *orielv1.Computer {
	c := &orielv1.Computer{
		Id:   row.ID,
		Name: row.DisplayName(),
		Summary: &orielv1.Summary{
			HostName: row.HostName, Os: row.OS, OsName: row.OSName, Arch: row.Arch, User: row.UserName,
		},
		Address:       row.Address,
		AgentVersion:  row.AgentVersion,
		Capabilities:  orielv1.FromWords[orielv1.Capability](row.Capabilities),
		LastSeen:      row.LastSeen,
		AddedAt:       row.AddedAt,
		PreviewAt:     row.PreviewAt,
		Display:       display(row.Display),
		DisplayDetail: row.DisplayDetail,
		SameMachineAs: row.SameMachineAs,
		GroupId:       row.GroupID,
		Group:         row.GroupName,
		Tags:          strings.FieldsFunc(row.Tags, func(r rune) bool { return r == '\n' }),
	}
	if row.Addresses != "" {
		c.Summary.Addresses = strings.Split(row.Addresses, "\n")
	}
	switch {
	case row.Blocked:
		c.Status = orielv1.Computer_STATUS_BLOCKED
	case row.Online && len(operators) > 0:
		c.Status = orielv1.Computer_STATUS_IN_SESSION
	case row.Online:
		c.Status = orielv1.Computer_STATUS_ONLINE
	case row.LastSeen == 0:
		c.Status = orielv1.Computer_STATUS_NEVER_SEEN
	default:
		c.Status = orielv1.Computer_STATUS_OFFLINE
	}
	if row.Online {
		c.LastSeen = now
	}
	if len(operators) > 32 {
		operators = operators[:32]
	}
	c.Operators = operators
	return c
}

// summarize puts what an agent says of its machine into row.
func summarize(row *store.Computer, s *orielv1.Summary) {
	row.HostName = sanitize.Line(s.GetHostName(), 256)
	row.OS = sanitize.Line(s.GetOs(), 32)
	row.OSName = sanitize.Line(s.GetOsName(), 256)
	row.Arch = sanitize.Line(s.GetArch(), 32)
	row.UserName = sanitize.Line(s.GetUser(), 256)
	row.Addresses = strings.Join(sanitize.Lines(s.GetAddresses(), 64, 64), "\n")
}
