package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/ledger/shard"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bucket is the address of an empty bucket of an S3 server in this process.
func bucket(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("runs"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return "s3://runs/all?region=us-east-1&use_path_style=true&endpoint=" + server.URL
}

// database is the address of a new database: schemas in it are the runs' own.
func database(t *testing.T, c *pgtest.Cluster) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "_", "-", "_").Replace(t.Name()))
	if err := pgtest.Exec(c.URL("public"), `CREATE DATABASE "`+name+`"`); err != nil {
		t.Fatal(err)
	}
	address, _, _ := strings.Cut(c.URL(""), "&search_path=")
	return strings.Replace(address, "/postgres?", "/"+name+"?", 1)
}

// sameReport compares what two runs leave for readers.
func sameReport(t *testing.T, a, b string) {
	t.Helper()
	for _, name := range []string{"report.json", "report.html"} {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s of %s and %s differ", name, a, b)
		}
	}
}

// embeddedRun is a finished run with everything in its directory.
func embeddedRun(t *testing.T, e *Experiment) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	if _, err := Run(t.Context(), Options{Resolved: e, Out: dir, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A run on Postgres and S3 gives the bytes of an embedded one. It goes on from any machine:
// from another directory, where models come from the store, and nothing is made twice.
func TestRunOnPostgresAndObjectStore(t *testing.T) {
	e := small(t)
	e.Storage = Storage{Ledger: database(t, pgtest.Shared(t)), Store: bucket(t), BodiesAbove: 20}
	whole := embeddedRun(t, small(t))

	dir := filepath.Join(t.TempDir(), "small")
	ctx, stop := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{Resolved: e, Out: dir, Workers: 1, Observe: func(v Event) {
		if v.Stage == "iteration 2: simulate" && v.Done == 1 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped in iteration 2: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ledgerFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory has a ledger: %v", err)
	}

	elsewhere := filepath.Join(t.TempDir(), "small")
	if _, err := Run(t.Context(), Options{Resolved: e, Out: elsewhere, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	sameReport(t, whole, elsewhere)

	m, err := ReadManifest(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ledger.OpenReader(m.LedgerAt(elsewhere))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stat, err := r.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stat.Moved == 0 {
		t.Error("no texts were moved to the store")
	}
	own, err := ledger.OpenReader(filepath.Join(whole, ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	want, err := own.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Roles, stat.Roles); diff != "" {
		t.Errorf("calls that were made, beside those of the embedded run: %s", diff)
	}
	readsStore(t, m.Storage.Store)

	// What reads a run finds it there.
	for n := 1; n <= 2; n++ {
		if it, err := ReadIteration(t.Context(), elsewhere, n); err != nil || it.Iteration.N != n {
			t.Errorf("iteration %d: %v", n, err)
		}
	}
	// A third session finds where its things are in the manifest.
	plain := small(t)
	if _, err := Run(t.Context(), Options{Resolved: plain, Out: elsewhere, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	sameReport(t, whole, elsewhere)
}

// readsStore reads the conversations of both iterations from the store.
func readsStore(t *testing.T, address string) {
	t.Helper()
	s, err := shard.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := 1; n <= 2; n++ {
		m, err := s.Manifest(t.Context(), fmt.Sprintf("it%d/simulate", n))
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for row, err := range shard.Rows[shard.Conversation](t.Context(), s, m) {
			if err != nil {
				t.Fatal(err)
			}
			if row.Rank != nil && *row.Rank == 0 {
				best++
			}
			if row.Outcome == string(stargate.Complete) && len(row.Turns) == 0 {
				t.Errorf("a complete conversation without turns: %+v", row)
			}
		}
		if m.Pairs != 4 || m.Rows != 8 || best != 4 {
			t.Errorf("iteration %d: %d pairs, %d conversations, %d best; want 4, 8 and 4", n, m.Pairs, m.Rows, best)
		}
	}
}

// A run survives that its database restarts, and comes to the same result.
func TestPostgresRestartsDuringRun(t *testing.T) {
	c := pgtest.Start(t)
	e := small(t)
	whole := embeddedRun(t, e)
	dir := filepath.Join(t.TempDir(), "small")
	restarts := 0
	if _, err := Run(t.Context(), Options{Resolved: e, Out: dir, Workers: 1, Ledger: database(t, c), Observe: func(v Event) {
		at := map[string]func() error{"iteration 1: simulate": c.Stop, "iteration 2: simulate": c.Kill, "evaluation: simulate m1": c.Stop}[v.Stage]
		if at == nil || v.Done != 1 {
			return
		}
		restarts++
		if err := errors.Join(at(), c.Start()); err != nil {
			t.Error(err)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if restarts < 2 {
		t.Errorf("the server restarted %d times", restarts)
	}
	sameReport(t, whole, dir)
}

func TestStorageErrorsSayWhatToDo(t *testing.T) {
	c := pgtest.Shared(t)
	e := small(t)
	for name, x := range map[string]struct {
		o    Options
		want string
	}{
		"no address":      {Options{Ledger: "localhost/x"}, "want postgres://"},
		"no store":        {Options{Store: "bucket"}, "want file:///FOLDER or s3://"},
		"no server":       {Options{Ledger: "postgres://ann:secret@127.0.0.1:1/x?stargate_patience=1s"}, "start it or correct the address"},
		"no database":     {Options{Ledger: strings.Replace(c.URL("x"), "/postgres?", "/nothing?", 1)}, "createdb"},
		"a ledger inside": {Options{Ledger: c.URL("x")}, "stargate ledger copy"},
		"no bucket":       {Options{Store: strings.Replace(bucket(t), "://runs/", "://none/", 1)}, "bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			o := x.o
			o.Resolved, o.Out, o.Workers = e, filepath.Join(t.TempDir(), "small"), 1
			if name == "a ledger inside" {
				if _, err := Run(t.Context(), Options{Resolved: onePass(e), Out: o.Out, Workers: 1}); err != nil {
					t.Fatal(err)
				}
				o.Resolved = onePass(e)
			}
			_, err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v; want it to say %q", err, x.want)
			}
		})
	}
}

func onePass(e *Experiment) *Experiment {
	c := *e
	c.Algorithm.Iterations = 1
	return &c
}

// Passwords are used and never kept.
func TestStorageShowsNoPasswords(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://ann:secret@db/x?search_path=nano":              "postgres://ann@db/x?search_path=nano",
		"postgres://db/x?user=ann&password=secret&sslmode=require": "postgres://db/x?sslmode=require&user=ann",
		"postgres://ann@db/x?sslpassword=secret":                   "postgres://ann@db/x",
	} {
		if have := (Storage{Ledger: address}).shown().Ledger; have != want {
			t.Errorf("%s is shown as %s, want %s", address, have, want)
		}
	}
}

// What another program trained cannot be made again for nothing: that it is gone is said.
func TestAModelThatIsGone(t *testing.T) {
	m := &models{}
	err := m.bring(t.Context(), "m1", "abc", filepath.Join(t.TempDir(), "m1"))
	if !errors.Is(err, errModelGone) || !strings.Contains(err.Error(), "--store") {
		t.Errorf("a model that is nowhere: %v", err)
	}
}
