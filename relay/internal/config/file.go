package config

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file; ours has less than a hundred lines.
const maxFile = 1 << 20

// file is the settings of a YAML file, as text by the name of their flag.
type file struct {
	values   map[string]string
	problems *Problems
}

// load is the loader that kong calls for a file. A file that is no YAML is an
// error; keys that mean nothing are problems among others.
func (p *Problems) load(r io.Reader) (kong.Resolver, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("the configuration file is larger than %d bytes", maxFile)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("the configuration file is not YAML: %w", err)
	}
	f := &file{values: map[string]string{}, problems: p}
	f.flatten("", tree)
	return f, nil
}

// flatten makes turn-udp of udp under turn, and commas of lists.
func (f *file) flatten(prefix string, tree map[string]any) {
	for key, value := range tree {
		name := prefix + strings.ReplaceAll(key, "_", "-")
		switch v := value.(type) {
		case map[string]any:
			f.flatten(name+"-", v)
		case []any:
			items := make([]string, len(v))
			for i, item := range v {
				items[i] = fmt.Sprint(item)
			}
			f.set(name, strings.Join(items, ","))
		case nil:
			f.set(name, "")
		default:
			f.set(name, fmt.Sprint(v))
		}
	}
}

func (f *file) set(name, value string) {
	if _, twice := f.values[name]; twice {
		f.problems.add("%s: stands twice in the configuration file", name)
	}
	f.values[name] = value
}

// Resolve is kong's question for a flag that the command line does not name.
func (f *file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, found := f.values[flag.Name]
	if !found || flag.Name == "config" {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	return value, nil
}

// Validate is called by kong after everything was resolved.
func (f *file) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, flag := range app.Flags {
		known[flag.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !known[name] || name == "help" || name == "config" {
			f.problems.add("%s: the configuration file has no such setting; see oriel-relay --help", name)
		}
	}
	return nil
}
