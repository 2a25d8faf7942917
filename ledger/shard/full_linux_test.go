package shard_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stargate/ledger/shard"
)

// A disk that is full is told as such, and what was published goes on from there.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	s := open(t, filepath.Join(disk, "store"))
	_, err := s.PublishDirectory(t.Context(), "models/d7", model(t, 7)) // 6 MiB
	if !errors.Is(err, shard.ErrFull) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("on a full disk: %v", err)
	}
	if _, err := s.Directory(t.Context(), "models/d7"); !errors.Is(err, shard.ErrNotExist) {
		t.Errorf("half a directory is there: %v", err)
	}
	must(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=20m")) // somebody freed some space
	_, err = s.PublishDirectory(t.Context(), "models/d7", model(t, 7))
	must(t, err)
}
