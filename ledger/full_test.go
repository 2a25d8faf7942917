package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stargate/lm"
)

type sameAnswer struct{ calls int }

func (s *sameAnswer) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	s.calls++
	return lm.Completion{Text: strings.Repeat("word ", 200)}, nil
}

// A full disk stops the run at once, keeps what was acknowledged, and pays for nothing more.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	id := Identity{Name: "nano", Digest: "d"}
	l, err := Open(path, id)
	if err != nil {
		t.Fatal(err)
	}
	// SQLite says the same at this limit as on a full disk.
	if _, err := l.writer.conn.ExecContext(context.Background(), "PRAGMA max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	inner := new(sameAnswer)
	g := l.Generator("questioner", "w0", inner)
	given := 0
	for err == nil {
		if _, err = g.Generate(context.Background(), nil, lm.Sampling{Seed: uint64(given)}); err == nil {
			given++
		}
	}
	t.Log(err)
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("after %d calls: %v, want %v", given, err, ErrDiskFull)
	}
	paid := inner.calls
	if _, err := g.Generate(context.Background(), nil, lm.Sampling{Seed: 1 << 40}); !errors.Is(err, ErrDiskFull) || inner.calls != paid {
		t.Errorf("the next call: %v, and the model was asked %d times more", err, inner.calls-paid)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(path, id); err != nil { // space was freed
		t.Fatal(err)
	}
	again := new(sameAnswer)
	for seed := range given {
		if _, err := l.Generator("questioner", "w0", again).Generate(context.Background(), nil, lm.Sampling{Seed: uint64(seed)}); err != nil {
			t.Fatal(err)
		}
	}
	if again.calls != 0 {
		t.Errorf("%d of %d acknowledged calls were lost", again.calls, given)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSystemErrorsAreNamed(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{syscall.ENOSPC: ErrDiskFull, syscall.EDQUOT: ErrDiskFull} {
		if err := explain(file("ledger.db"), "write", errno); !errors.Is(err, want) || !errors.Is(err, errno) {
			t.Errorf("%v: got %v", errno, err)
		}
	}
	if err := explain(file("ledger.db"), "write", syscall.EIO); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
}
