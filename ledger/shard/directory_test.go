package shard_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger/shard"
)

// model makes a directory of two files, one of them larger than a part of an upload.
func model(t *testing.T, seed byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m1")
	must(t, os.MkdirAll(filepath.Join(dir, "adapter"), 0o777))
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"a":1}`), 0o666))
	must(t, os.WriteFile(filepath.Join(dir, "adapter", "model.safetensors"), bytes.Repeat([]byte{seed, 1, 2}, 2<<20), 0o666))
	return dir
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	}))
	return out
}

func TestDirectoryIsPublishedAndFetched(t *testing.T) {
	eachStore(t, func(t *testing.T, again func() *shard.Store) {
		ctx, s, dir := t.Context(), again(), model(t, 7)
		if _, err := s.Directory(ctx, "models/d7"); !errors.Is(err, shard.ErrNotExist) {
			t.Errorf("before: %v", err)
		}
		d, err := s.PublishDirectory(ctx, "models/d7", dir)
		must(t, err)
		if len(d.Files) != 2 || d.Files[0].Path != "adapter/model.safetensors" || d.Bytes != 6<<20+7 {
			t.Errorf("published %+v", d)
		}
		twice, err := again().PublishDirectory(ctx, "models/d7", dir)
		must(t, err)
		if diff := cmp.Diff(d, twice); diff != "" {
			t.Error(diff)
		}
		if _, err := again().PublishDirectory(ctx, "models/d7", model(t, 8)); !errors.Is(err, shard.ErrConflict) {
			t.Errorf("another model under the same name: %v", err)
		}
		into := filepath.Join(t.TempDir(), "cache", "m1")
		must(t, again().FetchDirectory(ctx, "models/d7", into))
		if diff := cmp.Diff(files(t, dir), files(t, into)); diff != "" {
			t.Error("fetched another model")
		}
		if err := again().FetchDirectory(ctx, "models/d8", filepath.Join(t.TempDir(), "m")); !errors.Is(err, shard.ErrNotExist) {
			t.Errorf("a directory that is not there: %v", err)
		}
	})
}

// What was damaged in the store does not become a model here.
func TestDamagedDirectoryIsNotFetched(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	_, err := s.PublishDirectory(t.Context(), "models/d7", model(t, 7))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "models", "d7", "config.json"), []byte(`{"a":2}`), 0o666))
	into := filepath.Join(t.TempDir(), "m1")
	if err := s.FetchDirectory(t.Context(), "models/d7", into); !errors.Is(err, shard.ErrDamaged) {
		t.Errorf("fetched with %v", err)
	}
	if found, _ := filepath.Glob(into + "*"); len(found) > 0 {
		t.Errorf("%v is left", found)
	}
	must(t, os.WriteFile(filepath.Join(folder, "models", "d7", "_files.json"), []byte(`{"schema":1,"files":[{"path":"../../x"}]}`), 0o666))
	if err := s.FetchDirectory(t.Context(), "models/d7", into); !errors.Is(err, shard.ErrDamaged) {
		t.Errorf("a list that leads out of the directory: %v", err)
	}
}
