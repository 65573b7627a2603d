package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"oriel/relay/internal/fault"
)

// console serves the web app's files from memory, compressed once. Paths that
// are no file are pages of the app: they get index.html.
type console struct {
	files map[string]*asset // by path without the leading slash
	index *asset            // nil: there is no console
}

type asset struct {
	name, kind string
	etag       string
	immutable  bool // its name has the hash of its content
	encodings  map[string][]byte
}

func newConsole(files fs.FS) (*console, error) {
	c := &console{files: map[string]*asset{}}
	if files == nil {
		return c, nil
	}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		base, encoding := name, ""
		switch path.Ext(name) { // made by the build beside the file itself
		case ".br":
			base, encoding = strings.TrimSuffix(name, ".br"), "br"
		case ".gz":
			base, encoding = strings.TrimSuffix(name, ".gz"), "gzip"
		}
		a := c.files[base]
		if a == nil {
			a = &asset{name: base, kind: kindOf(base), immutable: strings.HasPrefix(base, "assets/"), encodings: map[string][]byte{}}
			c.files[base] = a
		}
		a.encodings[encoding] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, a := range c.files {
		plain, ok := a.encodings[""]
		if !ok {
			return nil, fmt.Errorf("%s is there only compressed", name)
		}
		sum := sha256.Sum256(plain)
		a.etag = hex.EncodeToString(sum[:12])
		if _, done := a.encodings["gzip"]; !done && compressible(a.kind) {
			if small := squeeze(plain); len(small) < len(plain)*9/10 {
				a.encodings["gzip"] = small
			}
		}
	}
	c.index = c.files["index.html"]
	return c, nil
}

func kindOf(name string) string {
	switch path.Ext(name) { // not left to what the machine's mime.types say
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".map", ".json":
		return "application/json"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compressible(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.Contains(kind, "json") || strings.Contains(kind, "svg") || strings.Contains(kind, "wasm")
}

func squeeze(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	_, _ = w.Write(b)                                       // a Buffer takes all
	_ = w.Close()
	return out.Bytes()
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fault.Write(w, errNoWrite)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	a := c.files[name]
	if a == nil && !strings.Contains(path.Base("/"+name), ".") {
		a = c.index // a page of the app
	}
	if a == nil {
		fault.Write(w, errNoFile)
		return
	}
	a.serve(w, r)
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache") // ask each time; the ETag makes it cheap
	if a.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content, encoding := a.encodings[""], ""
	for _, e := range []string{"br", "gzip"} {
		if b, ok := a.encodings[e]; ok && accepts(r, e) {
			content, encoding = b, e
			break
		}
	}
	h.Set("ETag", `"`+a.etag+"-"+encoding+`"`)
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
		if r.Header.Get("Range") != "" {
			r.Header.Del("Range") // of the compressed form nobody wants a part
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func accepts(r *http.Request, encoding string) bool {
	for _, header := range r.Header.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(header, ",") {
			name, quality, _ := strings.Cut(strings.TrimSpace(one), ";")
			quality = strings.ReplaceAll(quality, " ", "")
			if strings.EqualFold(name, encoding) && quality != "q=0" && !strings.HasPrefix(quality, "q=0.0") {
				return true
			}
		}
	}
	return false
}
