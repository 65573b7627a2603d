// Package blob keeps what is too big for the database: previews now,
// recordings and files later. A folder by default, an S3-compatible store by
// URL. It is the only door to gocloud.dev.
//
// Keys are slash-separated ("previews/ID.jpg") and made by the relay, never
// from text that an agent sent; Put refuses anything else.
package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob" // mem://, for tests
	_ "gocloud.dev/blob/s3blob"  // s3://
	"gocloud.dev/gcerrors"
)

// MaxSize of one blob that Get reads, in bytes.
const MaxSize = 64 << 20

// ErrNotFound: there is no blob of that key.
var ErrNotFound = errors.New("no such blob")

var validKey = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*$`)

func isKey(key string) bool { return len(key) <= 256 && validKey.MatchString(key) }

// Store is one open bucket. Its methods may be called from any goroutine.
type Store struct {
	bucket *blob.Bucket
	folder string // empty: none
}

// Open opens the bucket at address (file:///…, s3://BUCKET?region=…, mem://),
// or the folder, made when it is missing.
func Open(ctx context.Context, address, folder string) (*Store, error) {
	if address == "" {
		return openFolder(folder)
	}
	if u, err := url.Parse(address); err == nil && u.Scheme == "file" {
		return openFolder(filepath.FromSlash(u.Path))
	}
	b, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", redacted(err, address))
	}
	return &Store{bucket: b}, nil
}

func openFolder(folder string) (*Store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	// NoTempDir: the temporary file must be on the same file system to be renamed.
	b, err := fileblob.OpenBucket(folder, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, fmt.Errorf("open blobs in %s: %w", folder, err)
	}
	return &Store{bucket: b, folder: folder}, nil
}

// redacted keeps what an address may hold of secrets out of errors.
func redacted(err error, address string) error {
	u, perr := url.Parse(address)
	if perr != nil {
		return errors.New("the address is not a URL")
	}
	return fmt.Errorf("%s://%s: %s", u.Scheme, u.Host, strings.ReplaceAll(err.Error(), address, u.Scheme+"://"+u.Host))
}

// Put writes the blob whole or not at all.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if !isKey(key) {
		return fmt.Errorf("put blob: %.64q is not a key", key)
	}
	if err := s.write(ctx, key, data); err != nil {
		return fmt.Errorf("put blob %s: %w", key, err)
	}
	return nil
}

// write is the bucket's WriteAll, which would put what a full disk took of
// data in the blob's place.
func (s *Store) write(ctx context.Context, key string, data []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// With a type, Write does not keep data back to guess it, and fails itself.
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		cancel() // so that Close throws it away
		_ = w.Close()
		return err
	}
	return w.Close()
}

// Get reads a blob of at most MaxSize. Errors: ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if !isKey(key) {
		return nil, ErrNotFound
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, s.wrap("get", key, err)
	}
	defer r.Close()
	if r.Size() > MaxSize {
		return nil, fmt.Errorf("get blob %s: %d bytes are too many", key, r.Size())
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxSize))
	if err != nil {
		return nil, s.wrap("get", key, err)
	}
	return b, nil
}

// Each calls fn with every blob that a relay's Put made, in the order of keys.
// One that goes meanwhile is left out.
func (s *Store) Each(ctx context.Context, fn func(key string, data []byte) error) error {
	all := s.bucket.List(nil)
	for {
		o, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		if o.IsDir || !isKey(o.Key) {
			continue
		}
		data, err := s.Get(ctx, o.Key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			err = fn(o.Key, data)
		}
		if err != nil {
			return err
		}
	}
}

// Delete removes a blob; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if !isKey(key) {
		return nil
	}
	if err := s.wrap("delete", key, s.bucket.Delete(ctx, key)); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// CheckWrites writes a blob of that key and reads it back.
func (s *Store) CheckWrites(ctx context.Context, key string) error {
	wrote := []byte(time.Now().UTC().Format(time.RFC3339Nano))
	if err := s.Put(ctx, key, wrote); err != nil {
		return err
	}
	read, err := s.Get(ctx, key)
	if err == nil && !bytes.Equal(read, wrote) {
		err = fmt.Errorf("blob %s is not what was written", key)
	}
	return err
}

// Check reports whether the store answers, for doctor.
func (s *Store) Check(ctx context.Context) error {
	if s.folder != "" { // which gocloud does not look for
		if _, err := os.Stat(s.folder); err != nil {
			return fmt.Errorf("blobs: %w", err)
		}
	}
	ok, err := s.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = errors.New("the bucket is not accessible")
	}
	if err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	return nil
}

// Close ends it.
func (s *Store) Close() error { return s.bucket.Close() }

func (s *Store) wrap(what, key string, err error) error {
	if err == nil {
		return nil
	}
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%s blob %s: %w", what, key, ErrNotFound)
	}
	return fmt.Errorf("%s blob %s: %w", what, key, err)
}
