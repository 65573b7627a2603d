package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/rights"
)

// Inventory is everything known of a machine (feature F6), as the agent's message has it:
// a field of that is here without a word.
type Inventory struct{ message *orielv1.Inventory }

// MarshalJSON is for huma.
func (i Inventory) MarshalJSON() ([]byte, error) {
	return inventoryShape.encode(i.message.ProtoReflect())
}

// Schema is for huma.
func (Inventory) Schema(r huma.Registry) *huma.Schema { return inventoryShape.schema(r) }

func inventoryOf(i *orielv1.Inventory) Inventory { return Inventory{i} }

var inventoryShape = &shape{
	name:   "Inventory",
	of:     descriptor(&orielv1.Inventory{}),
	always: []protoreflect.Name{"taken_at", "general", "hardware"},
	within: map[protoreflect.Name]*shape{"general": generalShape, "hardware": hardwareShape},
}

// generalShape is its first tab.
var generalShape = &shape{
	name:   "General",
	of:     descriptor(&orielv1.General{}),
	within: map[protoreflect.Name]*shape{"volumes": volumeShape},
	docs: map[protoreflect.Name]string{
		"cpus":         "Logical processors.",
		"memory_total": "Bytes.",
		"memory_used":  "Bytes.",
	},
}

// hardwareShape is its second tab.
var hardwareShape = &shape{
	name: "Hardware",
	of:   descriptor(&orielv1.Hardware{}),
	within: map[protoreflect.Name]*shape{
		"processors": {name: "Processor", of: descriptor(&orielv1.Processor{})},
		"monitors":   {name: "Monitor", of: descriptor(&orielv1.Monitor{})},
		"disks":      {name: "Disk", of: descriptor(&orielv1.Disk{}), docs: map[protoreflect.Name]string{"size": "Bytes."}},
		"volumes":    volumeShape,
		"adapters":   {name: "Adapter", of: descriptor(&orielv1.Adapter{})},
		"software":   {name: "Software", of: descriptor(&orielv1.Software{})},
	},
	docs: map[protoreflect.Name]string{
		"system":       "Vendor and model.",
		"memory_total": "Bytes.",
		"swap_total":   "Bytes.",
	},
}

// volumeShape is one mounted file system.
var volumeShape = &shape{
	name: "Volume",
	of:   descriptor(&orielv1.Volume{}),
	docs: map[protoreflect.Name]string{"total": "Bytes.", "used": "Bytes."},
}

type inventoryOut struct{ Body Inventory }

func (a *API) inventory(ctx context.Context, in *idIn) (*inventoryOut, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return a.known(ctx, in.ID)
}

func (a *API) refresh(ctx context.Context, in *idIn) (*inventoryOut, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	if err := a.o.Fleet.Refresh(ctx, own(ctx, in.ID)); err != nil {
		return nil, err
	}
	return a.known(ctx, in.ID)
}

// known is the inventory that the computer sent last.
func (a *API) known(ctx context.Context, id string) (*inventoryOut, error) {
	i, err := a.o.Fleet.Inventory(ctx, own(ctx, id))
	if err != nil {
		return nil, err
	}
	return &inventoryOut{inventoryOf(i)}, nil
}

func each[P, T any](from []P, fn func(P) T) []T {
	to := make([]T, len(from))
	for i, one := range from {
		to[i] = fn(one)
	}
	return to
}
