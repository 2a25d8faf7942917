package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotCached is returned for a model that is not in the cache, or only in part.
var ErrNotCached = errors.New("not in the cache")

// Cache is the directory of a Hub cache. It need not exist.
type Cache string

// Snapshot is a model on disk: the files of one commit.
type Snapshot struct {
	Name   Name
	Commit string
	Dir    string // a Hugging Face model directory
}

// Resolve is the directory of ORG/NAME or ORG/NAME@REVISION in the cache that the
// environment names. It asks no server.
func Resolve(name string) (string, error) {
	n, err := ParseName(name)
	if err != nil {
		return "", err
	}
	s, err := FromEnv(os.Getenv)
	if err != nil {
		return "", err
	}
	found, err := s.Cache.Resolve(n)
	return found.Dir, err
}

// Resolve finds a complete snapshot. The revision may be a branch or tag that was pulled, a
// commit, or the beginning of one.
func (c Cache) Resolve(n Name) (Snapshot, error) {
	id, err := c.commit(n)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Name: n, Commit: id, Dir: c.snapshot(n.Repo, id)}
	missing, err := lacks(s.Dir)
	if err != nil {
		return Snapshot{}, err
	}
	if missing != "" {
		return Snapshot{}, fmt.Errorf("%w: of %s only a part, %s is missing; go on with: stargate models pull %s", ErrNotCached, n, missing, n)
	}
	return s, nil
}

// commit is what a revision means in the cache.
func (c Cache) commit(n Name) (string, error) {
	id, err := c.ref(n)
	if err != nil {
		return "", err
	}
	var found []string
	if id == "" {
		found, err = c.commits(n.Repo)
		if err != nil {
			return "", err
		}
		for _, s := range found {
			if s == n.Revision || (len(n.Revision) >= 7 && strings.HasPrefix(s, n.Revision)) {
				if id != "" {
					return "", fmt.Errorf("%w: %s may be commit %s or %s; write more of it", ErrName, n, id, s)
				}
				id = s
			}
		}
	}
	switch {
	case id != "":
		return id, nil
	case len(found) > 0:
		return "", fmt.Errorf("%w: %s has other revisions in %s; get this one with: stargate models pull %s", ErrNotCached, n, c, n)
	}
	return "", fmt.Errorf("%w: %s (in %s); get it with: stargate models pull %s", ErrNotCached, n, c, n)
}

// ref is the commit of a branch or tag that was pulled, or "".
func (c Cache) ref(n Name) (string, error) {
	data, err := os.ReadFile(c.refFile(n))
	if errors.Is(err, fs.ErrNotExist) || isDir(c.refFile(n)) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("model cache: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if !commit.MatchString(id) {
		return "", fmt.Errorf("model cache: %s holds %q, which is no commit; remove it and pull again", c.refFile(n), id)
	}
	return id, nil
}

// commits are those of which the cache has a snapshot.
func (c Cache) commits(repo string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.folder(repo), "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model cache: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if commit.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// setRef makes a branch or tag mean a commit. A commit needs no ref, and nothing is written
// where it says so already: the cache may be read-only.
func (c Cache) setRef(n Name, id string) error {
	if n.Revision == id {
		return nil
	}
	if old, err := c.ref(n); err == nil && old == id {
		return nil
	}
	path := c.refFile(n)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteString(id)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// link makes a file of a snapshot mean a blob: a relative link, or where the file system has
// none the bytes themselves, as the Hub's Python client does.
func (c Cache) link(repo, id, file, etag string) error {
	path, blob := c.file(repo, id, file), c.blob(repo, etag)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = os.Symlink(target, path)
	if err == nil || errors.Is(err, fs.ErrExist) { // another pull was faster
		return nil
	}
	if moved := os.Rename(blob, path); moved != nil {
		return errors.Join(err, moved)
	}
	return nil
}

func (c Cache) folder(repo string) string {
	return filepath.Join(string(c), "models--"+strings.ReplaceAll(repo, "/", "--"))
}

func (c Cache) snapshot(repo, id string) string {
	return filepath.Join(c.folder(repo), "snapshots", id)
}

func (c Cache) file(repo, id, file string) string {
	return filepath.Join(c.snapshot(repo, id), filepath.FromSlash(file))
}

func (c Cache) blob(repo, etag string) string { return filepath.Join(c.folder(repo), "blobs", etag) }

func (c Cache) incomplete(repo, etag string) string { return c.blob(repo, etag) + ".incomplete" }

func (c Cache) refFile(n Name) string {
	return filepath.Join(c.folder(n.Repo), "refs", filepath.FromSlash(n.Revision))
}

func (c Cache) lockFile(repo, etag string) string {
	return filepath.Join(string(c), ".locks", filepath.Base(c.folder(repo)), etag+".lock")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
