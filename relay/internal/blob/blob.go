// Package blob keeps what is too large for rows: previews now, recordings
// later. It is the only door to gocloud.dev/blob: a folder (the default), an
// S3-compatible store, or memory for tests.
//
// A key is a path of lower-case letters, digits, '-' and '.', with '/' between
// ("previews/<computer id>"), chosen by the relay and never by a peer. A blob
// is replaced as a whole and small enough to be held in memory (MaxSize).
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

// MaxSize of one blob in bytes.
const MaxSize = 16 << 20

// Errors that a caller can act on.
var (
	ErrNotFound = errors.New("no such blob")
	ErrKey      = errors.New("no key for a blob")
	ErrTooLarge = errors.New("blob too large")
)

// Blobs is an open store. Its methods may be called from any goroutine.
type Blobs struct {
	bucket *blob.Bucket
	folder string // empty: none
}

// Open opens the store at address, one of
//
//	/path, file:///path              a folder, made when missing, read by nobody else
//	s3://bucket?endpoint=…&region=…  credentials come from the environment as with AWS's own tools
//	mem://                           memory, for tests
func Open(ctx context.Context, address string) (*Blobs, error) {
	path, folder := strings.CutPrefix(address, "file://")
	if folder || filepath.IsAbs(address) {
		return openFolder(path)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" && u.Scheme != "mem" {
		return nil, errors.New("open blobs: give a folder's absolute path or s3://BUCKET?region=…")
	}
	b, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return &Blobs{bucket: b}, nil
}

func openFolder(path string) (*Blobs, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("open blobs: %q is no absolute path", path)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	// Temporary files beside the final ones: renaming works on one file system only.
	b, err := fileblob.OpenBucket(path, &fileblob.Options{
		NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700,
	})
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return &Blobs{bucket: b, folder: path}, nil
}

// Put saves data under key, in the place of what was there. Errors: ErrKey,
// ErrTooLarge.
func (b *Blobs) Put(ctx context.Context, key string, data []byte) error {
	if err := check(key); err != nil {
		return err
	}
	if len(data) > MaxSize {
		return ErrTooLarge
	}
	if err := b.bucket.WriteAll(ctx, key, data, &blob.WriterOptions{
		ContentType: "application/octet-stream", // never guessed from hostile bytes
	}); err != nil {
		return fmt.Errorf("save blob %s: %w", key, err)
	}
	return nil
}

// Get reads the blob of that key. Errors: ErrNotFound, ErrKey, ErrTooLarge.
func (b *Blobs) Get(ctx context.Context, key string) ([]byte, error) {
	if err := check(key); err != nil {
		return nil, err
	}
	r, err := b.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", key, err)
	}
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	return data, nil
}

// Delete forgets the blob of that key; that there is none is no error.
func (b *Blobs) Delete(ctx context.Context, key string) error {
	if err := check(key); err != nil {
		return err
	}
	err := b.bucket.Delete(ctx, key)
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete blob %s: %w", key, err)
	}
	return nil
}

// Healthy is nil while the store answers.
func (b *Blobs) Healthy(ctx context.Context) error {
	if b.folder != "" { // which gocloud does not look for
		if _, err := os.Stat(b.folder); err != nil {
			return fmt.Errorf("blobs: %w", err)
		}
	}
	ok, err := b.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	if !ok {
		return errors.New("blobs: the folder or bucket is not there")
	}
	return nil
}

// Close lets go of the store.
func (b *Blobs) Close() error { return b.bucket.Close() }

func check(key string) error {
	if key == "" || len(key) > 200 {
		return ErrKey
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' {
			return fmt.Errorf("%w: %q", ErrKey, key)
		}
		for _, c := range []byte(part) {
			if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
				return fmt.Errorf("%w: %q", ErrKey, key)
			}
		}
	}
	return nil
}
