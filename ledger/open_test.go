package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/ledger"
	"stargate/lm"
)

// filled makes a closed ledger with n calls.
func filled(t testing.TB, n int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(path, run)
	if err != nil {
		t.Fatal(err)
	}
	g := l.Generator("questioner", "w0", new(model))
	for i := range n {
		if _, err := g.Generate(context.Background(), ask("a"), lm.Sampling{Seed: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  error
		says  string
	}{
		{"a file that is no database", func(t *testing.T, path string) {
			overwrite(t, path, 0, bytes.Repeat([]byte("no database "), 2000))
		}, ledger.ErrCorrupt, "move it"},
		{"a damaged page", func(t *testing.T, path string) {
			overwrite(t, path, 16*4096, bytes.Repeat([]byte{0xa5}, 4096))
		}, ledger.ErrCorrupt, "move it"},
		{"a file cut short", func(t *testing.T, path string) {
			if err := os.Truncate(path, 10*4096); err != nil {
				t.Fatal(err)
			}
		}, ledger.ErrCorrupt, "move it"},
		{"another program's database", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			ledger.Exec(t, path, "CREATE TABLE theirs (a)")
		}, ledger.ErrCorrupt, "another program"},
		{"a newer schema", func(t *testing.T, path string) {
			ledger.Exec(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
		}, ledger.ErrNewerSchema, "schema is 999"},
		{"another run", func(t *testing.T, path string) {
			ledger.Exec(t, path, "UPDATE run SET name = 'nano-paper', digest = 'd2'")
		}, ledger.ErrOtherRun, `"nano-paper"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filled(t, 500)
			c.spoil(t, path)
			before := read(t, path)
			l, err := ledger.Open(path, run)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opened"), l.Close()))
			}
			t.Log(err)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got: %v\nwant %q, the path, and %q", err, c.want, c.says)
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the file was changed")
			}
		})
	}
}

func overwrite(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenInUnwritablePlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"below a file":       filepath.Join(file, "ledger.db"),
		"no such folder":     filepath.Join(t.TempDir(), "none", "ledger.db"),
		"folder of its name": func() string { p := filepath.Join(t.TempDir(), "ledger.db"); must(t, os.Mkdir(p, 0o700)); return p }(),
	} {
		if l, err := ledger.Open(path, run); !errors.Is(err, ledger.ErrReadOnly) {
			t.Errorf("%s: got %v (%v), want %v", name, err, l, ledger.ErrReadOnly)
		}
	}
	t.Run("read-only folder", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may write anywhere")
		}
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o500))
		t.Cleanup(func() { must(t, os.Chmod(dir, 0o700)) })
		if _, err := ledger.Open(filepath.Join(dir, "ledger.db"), run); !errors.Is(err, ledger.ErrReadOnly) {
			t.Errorf("got %v", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(path, run)
	must(t, err)
	if _, err := ledger.Open(path, run); !errors.Is(err, ledger.ErrInUse) {
		t.Errorf("second Open: got %v, want %v", err, ledger.ErrInUse)
	}
	must(t, l.Close())
	must(t, l.Close()) // closing twice is fine
	l, err = ledger.Open(path, run)
	must(t, err)
	must(t, l.Close())
}

func TestPathsWithOddCharacters(t *testing.T) {
	for _, name := range []string{"with space", "what?", "100%25", "a#b", "ü&=;'"} {
		dir := filepath.Join(t.TempDir(), name)
		must(t, os.Mkdir(dir, 0o700))
		path := filepath.Join(dir, "ledger.db")
		l, err := ledger.Open(path, run)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		must(t, l.Close())
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: the file is elsewhere: %v", name, err)
		}
	}
	t.Chdir(t.TempDir()) // a path without folder
	l, err := ledger.Open("ledger.db", run)
	must(t, err)
	must(t, l.Close())
}

func TestOpenReaderRefuses(t *testing.T) {
	none := filepath.Join(t.TempDir(), "ledger.db")
	if _, err := ledger.OpenReader(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	newer := filled(t, 1)
	ledger.Exec(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	if _, err := ledger.OpenReader(newer); !errors.Is(err, ledger.ErrNewerSchema) {
		t.Errorf("newer schema: got %v", err)
	}
	older := filled(t, 1)
	ledger.Exec(t, older, "DELETE FROM goose_db_version WHERE version_id > 0")
	if _, err := ledger.OpenReader(older); !errors.Is(err, ledger.ErrOlderSchema) {
		t.Errorf("older schema: got %v", err)
	}
}

func TestClosedLedgerAsksNobody(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l, err := ledger.Open(fresh(), run)
		must(t, err)
		inner := new(model)
		g := l.Generator("questioner", "w0", inner)
		must(t, l.Close())
		_, callErr := g.Generate(context.Background(), ask("a"), lm.Sampling{})
		putErr := l.Put(context.Background(), "k", 1)
		if !errors.Is(callErr, ledger.ErrClosed) || !errors.Is(putErr, ledger.ErrClosed) || inner.calls.Load() != 0 {
			t.Errorf("got %v, %v after %d calls", callErr, putErr, inner.calls.Load())
		}
	})
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Println(err)
		}
	}()
	model := new(model) // any lm.Generator
	for range 2 {       // the second session finds everything done
		l, err := ledger.Open(filepath.Join(dir, "ledger.db"), ledger.Identity{Name: "nano", Digest: "9f86d081"})
		if err != nil {
			fmt.Println(err)
			return
		}
		questioner := l.Generator("questioner", "digest of the weights", model)
		c, err := questioner.Generate(context.Background(), lm.Chat{{Role: lm.User, Content: "Plan a trip."}}, lm.Sampling{Seed: 1})
		if err != nil {
			fmt.Println(err)
			return
		}
		p := l.Progress()[0]
		fmt.Printf("%s; made %d, replayed %d\n", c.Text, p.Made, p.Replayed)
		if err := l.Close(); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// answer to "Plan a trip." with seed 1; made 1, replayed 0
	// answer to "Plan a trip." with seed 1; made 0, replayed 1
}
