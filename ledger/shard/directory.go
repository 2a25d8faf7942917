package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Directory lists the files of a directory that is published as it is, such as a model.
type Directory struct {
	Schema int    `json:"schema"` // of this document: 1
	Files  []File `json:"files"`  // by path
	Bytes  int64  `json:"byte_count"`
}

// File is one file of a [Directory].
type File struct {
	Path   string `json:"path"` // below the directory, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// directoryList is the object that makes a directory complete. It is written last.
const directoryList = "_files.json"

// PublishDirectory publishes the files below dir under name, which must be free or name the
// same files: a digest of the content is a good one. Files may be of any size. A directory
// that was cut off while it was published can be published again.
func (s *Store) PublishDirectory(ctx context.Context, name, dir string) (Directory, error) {
	d, err := filesOf(dir)
	if err != nil {
		return d, fmt.Errorf("shards %s: publish %s: %w", s.shown, dir, err)
	}
	if there, err := s.Directory(ctx, name); err == nil {
		if !slices.Equal(there.Files, d.Files) {
			return d, fmt.Errorf("shards %s: publish %s: %w: other files are there than in %s", s.shown, name, ErrConflict, dir)
		}
		return d, nil
	} else if !errors.Is(err, ErrNotExist) {
		return d, err
	}
	for _, f := range d.Files {
		if err := s.publishFile(ctx, path.Join(name, f.Path), filepath.Join(dir, filepath.FromSlash(f.Path)), f.Bytes); err != nil {
			return d, fmt.Errorf("shards %s: publish %s: %w", s.shown, path.Join(name, f.Path), explainFull(err))
		}
	}
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return d, fmt.Errorf("shards %s: publish %s: %w", s.shown, name, err)
	}
	return d, s.publish(ctx, path.Join(name, directoryList), append(data, '\n'))
}

// filesOf reads the files below dir.
func filesOf(dir string) (Directory, error) {
	d := Directory{Schema: 1}
	err := filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		f, err := os.Open(at) // follows links: what counts is what a loader reads
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		n, err := io.Copy(h, f)
		d.Files = append(d.Files, File{filepath.ToSlash(rel), n, hex.EncodeToString(h.Sum(nil))})
		d.Bytes += n
		return err
	})
	if err == nil && len(d.Files) == 0 {
		err = fmt.Errorf("%s: it holds no files", dir)
	}
	return d, err
}

// publishFile writes a file of any size. Another one who publishes the directory writes the
// same bytes, so that it is no harm where a store lets the second overwrite the first.
func (s *Store) publishFile(ctx context.Context, name, file string, size int64) (err error) {
	if at, err := s.bucket.Attributes(ctx, name); err == nil && at.Size == size {
		return nil // by an earlier attempt; the reader compares the digest
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if s.folder != "" {
		at := filepath.Join(s.folder, filepath.FromSlash(name))
		if err := publishFile(at, f); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	const parts = 5000 // S3 takes 10,000
	w, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{BufferSize: int(max(5<<20, size/parts)), ContentType: "application/octet-stream", DisableContentTypeDetection: true})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, w.Close())
}

// Directory reads the list of a published directory. It fails with [ErrNotExist] if it is
// not there, or not whole.
func (s *Store) Directory(ctx context.Context, name string) (d Directory, err error) {
	at := path.Join(name, directoryList)
	data, err := s.read(ctx, at)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("shards %s: %s: %w: %w", s.shown, at, ErrDamaged, err)
	}
	if d.Schema != 1 {
		return d, fmt.Errorf("shards %s: %s: schema %d is of a newer program; this one knows 1", s.shown, at, d.Schema)
	}
	for _, f := range d.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return d, fmt.Errorf("shards %s: %s: %w: it lists the file %q", s.shown, at, ErrDamaged, f.Path)
		}
	}
	return d, nil
}

// partial is the end of a directory's name while it is fetched.
const partial = ".fetch"

// FetchDirectory brings a published directory to dir, where nothing may be yet. It is there
// whole, every file compared with its digest, or not at all.
func (s *Store) FetchDirectory(ctx context.Context, name, dir string) error {
	d, err := s.Directory(ctx, name)
	if err != nil {
		return err
	}
	begun := dir + partial
	if err := os.RemoveAll(begun); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	for _, f := range d.Files {
		if err := s.fetchFile(ctx, path.Join(name, f.Path), filepath.Join(begun, filepath.FromSlash(f.Path)), f); err != nil {
			return errors.Join(fmt.Errorf("shards %s: fetch %s: %w", s.shown, path.Join(name, f.Path), explainFull(err)), os.RemoveAll(begun))
		}
	}
	if err := os.Rename(begun, dir); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	return nil
}

func (s *Store) fetchFile(ctx context.Context, name, file string, want File) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	r, err := s.bucket.NewReader(ctx, name, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: the list names it: %w", ErrDamaged, ErrNotExist)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if have := hex.EncodeToString(h.Sum(nil)); have != want.SHA256 {
		return fmt.Errorf("%w: %d bytes with digest %.12s, expected %d with %.12s: bring it back from a copy, or delete the directory there", ErrDamaged, n, have, want.Bytes, want.SHA256)
	}
	return nil
}

// explainFull tells what to do about a full disk.
func explainFull(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w (free some space and run again: what is published is kept): %w", ErrFull, err)
	}
	return err
}

func isFull(err error) bool {
	// S3 servers over a file system pass on what it says.
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), "no space left on device")
}
