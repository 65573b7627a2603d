package blob

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func each(t *testing.T, fn func(t *testing.T, b *Blobs)) {
	for name, address := range map[string]func(t *testing.T) string{
		"folder": func(t *testing.T) string { return filepath.Join(t.TempDir(), "made", "here") },
		"memory": func(*testing.T) string { return "mem://" },
		"s3":     s3,
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Open(t.Context(), address(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close(); http.DefaultClient.CloseIdleConnections() })
			fn(t, b)
		})
	}
}

// s3 is a bucket behind the few requests of S3's REST interface that a bucket
// of whole objects needs.
func s3(t *testing.T) string {
	var mu sync.Mutex
	objects := map[string][]byte{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := strings.TrimPrefix(r.URL.Path, "/bucket/")
		data, found := objects[key]
		switch {
		case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/"):
			w.WriteHeader(http.StatusForbidden)
		case r.Method == http.MethodPut:
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
				body = unchunk(t, body)
			}
			objects[key] = body
			w.Header().Set("ETag", `"`+hex.EncodeToString(body[:min(len(body), 8)])+`"`)
		case r.Method == http.MethodDelete:
			delete(objects, key)
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Query().Has("list-type") || strings.TrimSuffix(r.URL.Path, "/") == "/bucket":
			_ = xml.NewEncoder(w).Encode(struct {
				XMLName xml.Name `xml:"ListBucketResult"`
			}{})
		case !found:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
		default:
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return "s3://bucket?region=eu-north-1&use_path_style=true&disable_https=true&endpoint=" + url.QueryEscape(srv.URL)
}

// unchunk takes the payload out of aws-chunked framing.
func unchunk(t *testing.T, b []byte) []byte {
	var out []byte
	for {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			t.Error("bad chunk")
			return nil
		}
		size, _, _ := strings.Cut(string(line), ";")
		n := 0
		for _, c := range size {
			n = n<<4 | strings.IndexRune("0123456789abcdef", c)
		}
		if n == 0 {
			return out
		}
		out, b = append(out, rest[:n]...), rest[n+2:]
	}
}

func TestPutGetDelete(t *testing.T) {
	each(t, func(t *testing.T, b *Blobs) {
		ctx := t.Context()
		if err := b.Healthy(ctx); err != nil {
			t.Fatal(err)
		}
		const key = "previews/0190-abc"
		if _, err := b.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if err := b.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<script>one</script>", "two"} {
			if err := b.Put(ctx, key, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if got, err := b.Get(ctx, key); err != nil || string(got) != want {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if err := b.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestKeysStayInside(t *testing.T) {
	each(t, func(t *testing.T, b *Blobs) {
		for _, key := range []string{"", "/", "a/", "../a", "a/../b", "a//b", ".a", "A", "a\\b", "ä", "a\x00b", strings.Repeat("a", 201)} {
			if err := b.Put(t.Context(), key, nil); !errors.Is(err, ErrKey) {
				t.Errorf("put %q: %v", key, err)
			}
			if _, err := b.Get(t.Context(), key); !errors.Is(err, ErrKey) {
				t.Errorf("get %q: %v", key, err)
			}
			if err := b.Delete(t.Context(), key); !errors.Is(err, ErrKey) {
				t.Errorf("delete %q: %v", key, err)
			}
		}
		if err := b.Put(t.Context(), "a", make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}

func TestFolderIsPrivateAndNeeded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	b, err := Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatal(info.Mode(), err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Healthy(context.Background()); err == nil {
		t.Fatal("healthy without its folder")
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "relative", "file://relative", "gs://bucket", "http://x", "s3:// "} {
		if b, err := Open(t.Context(), address); err == nil {
			_ = b.Close()
			t.Errorf("%q opened", address)
		}
	}
}
