package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Cached is a snapshot in the cache.
type Cached struct {
	Repo      string   `json:"repo"`
	Revisions []string `json:"revisions,omitempty"` // branches and tags that mean it
	Commit    string   `json:"commit"`
	Dir       string   `json:"dir"`
	Bytes     int64    `json:"bytes"`             // of its files; snapshots may share some
	Missing   string   `json:"missing,omitempty"` // the first file it needs to be a model
}

// List is every snapshot of a model in the cache, by repository and commit.
func (c Cache) List() ([]Cached, error) {
	entries, err := os.ReadDir(string(c))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model cache: %w", err)
	}
	var out []Cached
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "models--")
		org, name, two := strings.Cut(name, "--")
		if !ok || !two || !isPart(org) || !isPart(name) {
			continue
		}
		repo := org + "/" + name
		refs, err := c.refs(repo)
		if err != nil {
			return nil, err
		}
		ids, err := c.commits(repo)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			s := Cached{Repo: repo, Revisions: refs[id], Commit: id, Dir: c.snapshot(repo, id)}
			if s.Bytes, err = bytesBelow(s.Dir); err != nil {
				return nil, err
			}
			if s.Missing, err = lacks(s.Dir); err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// refs are the branches and tags of a repository, by commit.
func (c Cache) refs(repo string) (map[string][]string, error) {
	root := filepath.Join(c.folder(repo), "refs")
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".tmp") {
			return err
		}
		revision, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		n := Name{repo, filepath.ToSlash(revision)}
		id, err := c.ref(n)
		if err != nil {
			return err
		}
		out[id] = append(out[id], n.Revision)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("model cache: %w", err)
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out, nil
}

// bytesBelow is the size of all files below a directory, links followed.
func bytesBelow(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // a link to a blob that is gone
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("model cache: %w", err)
	}
	return total, nil
}
