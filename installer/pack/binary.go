package main

import (
	"debug/elf"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// binary is an executable and what it needs of a system.
type binary struct {
	path string
	arch string // as Go names it
	deb  []string
	rpm  []string
}

var machines = map[elf.Machine]string{
	elf.EM_X86_64:  "amd64",
	elf.EM_AARCH64: "arm64",
}

// The Debian packages of the libraries that a program may link to. Anything
// else is meant to be linked statically, so that one file runs everywhere.
var debianPackages = map[string]string{
	"libc.so.6":       "libc6",
	"libm.so.6":       "libc6",
	"libpthread.so.0": "libc6",
	"libdl.so.2":      "libc6",
	"librt.so.1":      "libc6",
	"libresolv.so.2":  "libc6",
	"libgcc_s.so.1":   "libgcc-s1",
}

// inspect reads the processor and the dependencies out of an ELF executable.
func inspect(path string) (binary, error) {
	b := binary{path: path}
	f, err := elf.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	b.arch = machines[f.Machine]
	if b.arch == "" {
		return b, fmt.Errorf("no release is made for %v", f.Machine)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return b, err
	}
	if len(libraries) == 0 {
		return b, nil
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return b, err
	}
	glibc := [2]int{}
	for _, s := range symbols {
		if v, ok := glibcVersion(s.Version); ok && slices.Compare(v[:], glibc[:]) > 0 {
			glibc = v
		}
	}
	need := fmt.Sprintf("%d.%d", glibc[0], glibc[1])
	for _, library := range libraries {
		if strings.HasPrefix(library, "ld-linux") {
			continue // comes with libc
		}
		name, ok := debianPackages[library]
		if !ok {
			return b, fmt.Errorf("links to %s, which not every system has; link it statically", library)
		}
		if name == "libc6" {
			name = "libc6 (>= " + need + ")"
		}
		if !slices.Contains(b.deb, name) {
			b.deb = append(b.deb, name)
		}
		b.rpm = append(b.rpm, library+"()(64bit)")
		if library == "libc.so.6" {
			b.rpm = append(b.rpm, "libc.so.6(GLIBC_"+need+")(64bit)")
		}
	}
	return b, nil
}

// glibcVersion reads GLIBC_2.34 (and 2.3.4 as 2.3).
func glibcVersion(text string) (v [2]int, ok bool) {
	text, ok = strings.CutPrefix(text, "GLIBC_")
	if !ok {
		return v, false
	}
	parts := strings.Split(text, ".")
	if len(parts) < 2 {
		return v, false
	}
	for i := range v {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}
