package api

import (
	"context"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

// RelayInfo is what the console shows of the relay and offers to install.
type RelayInfo struct {
	Version    string      `json:"version"`
	Name       string      `json:"name"`
	PublicURL  string      `json:"public_url"`
	AgentFiles []AgentFile `json:"agent_files" nullable:"false"`
}

// AgentFile is one package of the agent.
type AgentFile struct {
	OS     string `json:"os" doc:"linux, windows, darwin"`
	Arch   string `json:"arch" doc:"amd64, arm64"`
	Kind   string `json:"kind" doc:"deb, rpm, tar.gz …"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url"`
}

type relayOut struct{ Body RelayInfo }

type relaySettingsOut struct{ Body people.RelaySettings }

type relaySettingsIn struct {
	Body struct {
		SignUp       *bool    `json:"sign_up,omitempty" doc:"Absent: as it is."`
		StaffDomains []string `json:"staff_domains,omitzero" nullable:"false" maxItems:"64" doc:"All of them; absent: as they are."`
	}
}

func (a *API) relay() {
	operation(a, "GET", "/relay", "relay", "Tell what this relay is. Its name, version and public address, and the packages of the agent that it offers.", a.relayInfo, tag("relay"))
	operation(a, "GET", "/relay/settings", "getRelaySettings", "Get the settings of the whole relay, for who operates it.", a.relaySettings, tag("relay"))
	operation(a, "PATCH", "/relay/settings", "updateRelaySettings", "Change what holds for the whole relay. Sign-up can be opened only where the relay sends mail.", a.updateRelaySettings, tag("relay"))
}

func (a *API) relayInfo(ctx context.Context, _ *nothingIn) (*relayOut, error) {
	if err := a.require(ctx, rights.About, access.Organization); err != nil {
		return nil, err
	}
	files := a.o.Relay.AgentFiles()
	if files == nil {
		files = []AgentFile{}
	}
	return &relayOut{RelayInfo{Version: a.o.Version, Name: a.o.Name, PublicURL: a.o.Relay.PublicURL(), AgentFiles: files}}, nil
}

func (a *API) relaySettings(ctx context.Context, _ *nothingIn) (*relaySettingsOut, error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	s, err := a.o.People.RelaySettings(ctx)
	return &relaySettingsOut{s}, err
}

func (a *API) updateRelaySettings(ctx context.Context, in *relaySettingsIn) (*relaySettingsOut, error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	if in.Body.SignUp == nil && in.Body.StaffDomains == nil {
		return nil, fault.Field("sign_up", "say what is to change: sign_up, staff_domains or both")
	}
	s, err := a.o.People.ChangeRelay(ctx, callerOf(ctx).who, in.Body.SignUp, in.Body.StaffDomains)
	return &relaySettingsOut{s}, err
}
