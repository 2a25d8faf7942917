package hub

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"stargate/hub/hubtest"
)

// A real small disk: it fills in the middle of a download, is made larger, and the pull goes
// on; read-only it still serves what it has.
func TestFullAndReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=400k"); err != nil {
		t.Skipf("no disk of its own: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	s := serve(t)
	s.Add(repo, "main", whole())
	o := options(t, s)
	o.Cache, o.free = Cache(dir), func(string) (int64, bool) { return 0, false }
	_, err := Pull(t.Context(), name(t, repo), o)
	if !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	explains(t, err, "free some space", "HF_HUB_CACHE")
	part, err := os.Stat(o.Cache.incomplete(repo, hubtest.SHA256(whole()["model.safetensors"])))
	if err != nil || part.Size() < 100_000 {
		t.Fatal("nothing was kept:", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	got, err := Pull(t.Context(), name(t, repo), o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, whole(), wholeNames...)
	if _, later := ranges(s, "model.safetensors"); later != 1 {
		t.Errorf("%d requests for the rest, want 1", later)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Error("a complete model needs no writing:", err)
	}
	s.Add(repo, "main", sharded())
	_, err = Pull(t.Context(), name(t, repo), o)
	if !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	explains(t, err, dir, "HF_HUB_CACHE")
}
