package shard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/memblob" // mem://, for tests
	_ "gocloud.dev/blob/s3blob"  // s3://
	"gocloud.dev/gcerrors"
)

// Errors callers branch on. Each comes wrapped with the object's name.
var (
	// ErrConflict: the name is taken by another content.
	ErrConflict = errors.New("something else is published there")
	// ErrDamaged: the object is not what its digest says.
	ErrDamaged = errors.New("damaged")
	// ErrTooLarge: a shard would be larger than MaxBytes.
	ErrTooLarge = errors.New("too large for one shard")
	// ErrNotExclusive: the object store ignores the condition "only if the name is free".
	ErrNotExclusive = errors.New("the object store overwrites what is there")
	// ErrFull: no space is left where the store is.
	ErrFull = errors.New("no space left")
	// ErrNotExist: there is no object of this name.
	ErrNotExist = errors.New("not there")
)

// MaxBytes is the size of the largest shard. A reader holds one in memory.
const MaxBytes = 16 << 20

// Store is where the shards of a run are.
type Store struct {
	bucket *blob.Bucket
	folder string // of a store in files
	shown  string

	exclusive sync.Once
	probed    error
}

// Open opens the store at address: a path or file:///path of a folder, which is made if it
// is not there, or s3://bucket/prefix with the parameters of gocloud.dev's s3blob (region,
// endpoint, use_path_style …) and the credentials AWS' tools use.
func Open(ctx context.Context, address string) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("shards: %q is no address: want a path, file:///path or s3://bucket/prefix: %w", address, err)
	}
	s := &Store{shown: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/")}
	switch u.Scheme {
	case "", "file":
		path := u.Path
		if u.Scheme == "" {
			path = address
		}
		if s.folder, err = filepath.Abs(filepath.FromSlash(path)); err != nil {
			return nil, fmt.Errorf("shards %s: %w", address, err)
		}
		s.shown = s.folder
		s.bucket, err = openFolder(s.folder)
	case "s3", "mem":
		q := u.Query()
		if prefix := strings.Trim(u.Path, "/"); prefix != "" {
			q.Set("prefix", prefix+"/")
		}
		u.Path, u.RawQuery = "", q.Encode()
		s.bucket, err = blob.OpenBucket(ctx, u.String())
	default:
		return nil, fmt.Errorf("shards: %s: scheme %q is not known: want a path, file:///path or s3://bucket/prefix", s.shown, u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("shards %s: open: %w", s.shown, err)
	}
	return s, nil
}

// Check finds out whether the store can be used: whether the bucket is there and may be read.
func (s *Store) Check(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("shards %s: the store cannot be reached: %w; look at the bucket's name, the region (AWS_REGION, or ?region=) and the credentials", s.shown, err)
	case !ok:
		return fmt.Errorf("shards %s: there is no such bucket: %w", s.shown, ErrNotExist)
	}
	return nil
}

// String is the address without its parameters.
func (s *Store) String() string { return s.shown }

// Close ends the use of the store.
func (s *Store) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("shards %s: close: %w", s.shown, err)
	}
	return nil
}

var stagePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._=+-]*(/[A-Za-z0-9][A-Za-z0-9._=+-]*)*$`)

// shardName names shard n of a stage.
func shardName(stage string, n int) (string, error) {
	if !stagePattern.MatchString(stage) || n < 0 || n > 999_999_999 {
		return "", fmt.Errorf("shards: stage %q, shard %d: a stage is a path of letters, digits and . _ = + -, a number is at least 0", stage, n)
	}
	return fmt.Sprintf("%s/shard-%06d.parquet", stage, n), nil
}

// publish writes data under name if the name is free. It returns without an error too if
// the same data is there.
func (s *Store) publish(ctx context.Context, name string, data []byte) error {
	var err error
	if s.folder != "" {
		err = publishFile(filepath.Join(s.folder, filepath.FromSlash(name)), bytes.NewReader(data))
	} else {
		s.exclusive.Do(func() { s.probed = s.probe(ctx) })
		if s.probed != nil {
			return fmt.Errorf("shards %s: %w", s.shown, s.probed)
		}
		err = s.put(ctx, name, data)
	}
	if err == nil {
		return nil
	}
	// The name is taken; or the answer to a write that took place was lost.
	there, readErr := s.read(ctx, name)
	switch {
	case readErr != nil && gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return readErr
	case readErr != nil:
		return fmt.Errorf("shards %s: publish %s: %w", s.shown, name, explainFull(err))
	case !bytes.Equal(there, data):
		return fmt.Errorf("shards %s: publish %s: %w: its digest is %.6x, this one's %.6x; a shard is made from its pairs alone, so look for what else it depends on",
			s.shown, name, ErrConflict, sha256.Sum256(there), sha256.Sum256(data))
	}
	return nil
}

func (s *Store) put(ctx context.Context, name string, data []byte) error {
	// One part, because a condition on an upload in parts holds only where the server
	// checks it at the last.
	w, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{IfNotExist: true, BufferSize: max(5<<20, len(data)+1), ContentType: "application/octet-stream", DisableContentTypeDetection: true})
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

// probe finds out whether the store refuses to overwrite: not all that speak S3 do.
func (s *Store) probe(ctx context.Context) error {
	const name = "_exclusive"
	first := s.put(ctx, name, []byte("This object tells that the store keeps what is there.\n"))
	if first != nil && gcerrors.Code(first) != gcerrors.FailedPrecondition {
		return fmt.Errorf("write: %w", first)
	}
	err := s.put(ctx, name, []byte("This object tells that the store overwrites what is there.\n"))
	switch {
	case err == nil:
		return fmt.Errorf("%w (it does not support If-None-Match): use another one", ErrNotExclusive)
	case gcerrors.Code(err) != gcerrors.FailedPrecondition:
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// read reads a whole object.
func (s *Store) read(ctx context.Context, name string) (_ []byte, err error) {
	r, err := s.bucket.NewReader(ctx, name, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("shards %s: %s: %w", s.shown, name, ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("shards %s: read %s: %w", s.shown, name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	const most = 1 << 30 // of a manifest; a shard is smaller
	if r.Size() > most {
		return nil, fmt.Errorf("shards %s: %s: %w (%d bytes)", s.shown, name, ErrTooLarge, r.Size())
	}
	var b bytes.Buffer
	b.Grow(int(r.Size()) + bytes.MinRead)
	if _, err := io.Copy(&b, r); err != nil {
		return nil, fmt.Errorf("shards %s: read %s: %w", s.shown, name, err)
	}
	return b.Bytes(), nil
}
