package api

import (
	"context"

	"oriel/relay/internal/access"
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

func (a *API) relay() {
	operation(a, "GET", "/relay", "relay", "Tell what this relay is. Its name, version and public address, and the packages of the agent that it offers.", a.relayInfo, tag("relay"))
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
