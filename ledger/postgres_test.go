package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

// with adds parameters to an address.
func with(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func TestOpenPostgresRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, address string) string
		want  error
		says  string
	}{
		{"a newer schema", func(t *testing.T, address string) string {
			ledger.Exec(t, address, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
			return address
		}, ledger.ErrNewerSchema, "schema is 999"},
		{"another run", func(t *testing.T, address string) string {
			ledger.Exec(t, address, "UPDATE run SET name = 'nano-paper', digest = 'd2'")
			return address
		}, ledger.ErrOtherRun, `"nano-paper"`},
		{"another program's tables", func(t *testing.T, address string) string {
			ledger.Exec(t, address, "DROP TABLE run; CREATE TABLE theirs (a int)")
			return address
		}, ledger.ErrCorrupt, "another program"},
		{"a standby", func(t *testing.T, address string) string {
			ledger.Exec(t, address, "DELETE FROM run") // else there is nothing to write
			return with(t, address, "default_transaction_read_only", "on")
		}, ledger.ErrReadOnly, "no standby"},
		{"a user without rights", func(t *testing.T, address string) string {
			role := strings.ReplaceAll(t.Name(), "/", "_")
			ledger.Exec(t, address, fmt.Sprintf(`CREATE ROLE %q LOGIN`, role))
			u, err := url.Parse(with(t, address, "search_path", "notyet"))
			must(t, err)
			u.User = url.User(role)
			return u.String()
		}, ledger.ErrReadOnly, "may create"},
		{"a server that is away", func(t *testing.T, address string) string {
			return with(t, address, "host", t.TempDir(), "stargate_patience", "100ms")
		}, ledger.ErrAway, "start it"},
		{"a database that is not there", func(_ *testing.T, address string) string {
			return strings.Replace(address, "/postgres?", "/none?", 1)
		}, nil, `"none" does not exist`},
		{"two schemas", func(t *testing.T, address string) string {
			return with(t, address, "search_path", "a,b")
		}, nil, "one schema"},
		{"a lease of no time", func(t *testing.T, address string) string {
			return with(t, address, "stargate_lease", "soon")
		}, nil, "duration"},
		{"an address that is none", func(*testing.T, string) string { return "postgres://u:secret@ho st/" }, nil, "not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := pgtest.Shared(t).Fresh()
			l, err := ledger.Open(address, run)
			must(t, err)
			must(t, l.Close())
			l, err = ledger.Open(c.spoil(t, address), run)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opened"), l.Close()))
			}
			t.Log(err)
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got: %v\nwant %v and %q", err, c.want, c.says)
			}
		})
	}
}

func TestOpenPostgresReaderRefuses(t *testing.T) {
	server := pgtest.Shared(t)
	address := server.Fresh()
	if _, err := ledger.OpenReader(address); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no schema: got %v", err)
	}
	open(t, address)
	ledger.Exec(t, address, "DELETE FROM goose_db_version WHERE version_id > 1")
	if _, err := ledger.OpenReader(address); !errors.Is(err, ledger.ErrOlderSchema) {
		t.Errorf("older schema: got %v", err)
	}
}

// A schema's name is taken as it is written; runs of one database do not see each other.
func TestSchemas(t *testing.T) {
	base := with(t, pgtest.Shared(t).URL("x"), "search_path", "")
	base = strings.Replace(base, "search_path=", "", 1)
	inner := new(model)
	for i, name := range []string{"nano-seed7", "Nano-Seed7", "select", "ünï code", "nano-seed7"} {
		address, err := ledger.InSchema(base, name)
		must(t, err)
		l, err := ledger.Open(address, run)
		must(t, err)
		_, err = l.Generator("questioner", "w0", inner).Generate(context.Background(), ask("a"), lm.Sampling{})
		must(t, err)
		must(t, l.Close())
		if n := inner.calls.Load(); n != min(int64(i)+1, 4) {
			t.Errorf("%s: %d calls", name, n)
		}
	}
	named, err := ledger.InSchema(with(t, base, "search_path", "mine"), "run")
	if err != nil || !strings.Contains(named, "search_path=mine") {
		t.Errorf("%s, %v", named, err)
	}
	for _, name := range []string{"a,b", `a"b`, "$user", strings.Repeat("a", 64)} {
		if address, err := ledger.InSchema(base, name); err == nil {
			t.Errorf("%q became %s", name, address)
		}
	}
}

func TestPasswordsAreNeverShown(t *testing.T) {
	for _, address := range []string{
		"postgres://u:hunter2@localhost:1/db?stargate_patience=1ms",
		"postgres://u@localhost:1/db?password=hunter2&stargate_patience=1ms",
		"postgres://u:hunter2@localhost:1/db?stargate_lease=0s",
		"postgres://u:hunter2@localhost:1/db?sslmode=perhaps",
		"postgres://u:hunter2@local host/db",
	} {
		_, err := ledger.Open(address, run)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Two ledgers are what two processes have: nothing but the server between them.
func two(t *testing.T) (address string, a, b *ledger.Ledger) {
	address = pgtest.Shared(t).Fresh()
	return address, open(t, address), open(t, address)
}

func TestProcessesMakeACallOnce(t *testing.T) {
	_, a, b := two(t)
	inner := new(model)
	var wg sync.WaitGroup
	for _, l := range []*ledger.Ledger{a, b} {
		for range 8 {
			wg.Go(func() {
				for seed := range uint64(50) {
					role := []string{"questioner", "evaluation"}[seed%2]
					if _, err := l.Generator(role, "w0", inner).Generate(context.Background(), ask("a"), lm.Sampling{Seed: seed}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if n := inner.calls.Load(); n != 50 {
		t.Errorf("the model was asked %d times, want 50", n)
	}
}

// held starts a call in l that lasts until release is called, and says what came of it.
func held(t *testing.T, l *ledger.Ledger, answer string) (release func() (lm.Completion, error)) {
	t.Helper()
	started, end := make(chan struct{}), make(chan struct{})
	type result struct {
		c   lm.Completion
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := l.Generator("questioner", "w0", generatorFunc(func(context.Context) (lm.Completion, error) {
			close(started)
			<-end
			return lm.Completion{Text: answer}, nil
		})).Generate(context.Background(), ask("a"), lm.Sampling{})
		done <- result{c, err}
	}()
	<-started
	return func() (lm.Completion, error) {
		close(end)
		r := <-done
		return r.c, r.err
	}
}

func TestProcessWaitsForAnother(t *testing.T) {
	_, a, b := two(t)
	release := held(t, a, "first")
	inner := new(model)
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Generator("questioner", "w0", inner).Generate(short, ask("a"), lm.Sampling{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the other has it: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := b.Generator("evaluation", "w0", inner).Generate(context.Background(), ask("a"), lm.Sampling{})
		if err != nil || c.Text != "first" {
			t.Errorf("the one who waited got %+v, %v", c, err)
		}
	})
	if _, err := release(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := inner.calls.Load(); n != 0 {
		t.Errorf("the call was made %d times more", n)
	}
	totals, err := a.Totals(context.Background())
	must(t, err)
	if len(totals) != 2 || totals[0].Made != 1 || totals[1].Made != 1 {
		t.Errorf("totals %+v: want the call for both roles", totals)
	}
}

// What fails, is cancelled or panics is another process' turn at once.
func TestClaimEndsWithTheWork(t *testing.T) {
	for _, c := range []struct {
		name string
		work generatorFunc
	}{
		{"failed", func(context.Context) (lm.Completion, error) { return lm.Completion{}, errors.New("connection reset") }},
		{"cancelled", func(context.Context) (lm.Completion, error) { return lm.Completion{}, context.Canceled }},
		{"panicked", func(context.Context) (lm.Completion, error) { panic("bug") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, a, b := two(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			func() {
				defer func() { _ = recover() }()
				_, err := a.Generator("questioner", "w0", generatorFunc(func(ctx context.Context) (lm.Completion, error) {
					if c.name == "cancelled" {
						cancel()
					}
					return c.work(ctx)
				})).Generate(ctx, ask("a"), lm.Sampling{})
				if err == nil {
					t.Error("no error")
				}
			}()
			got, err := b.Generator("questioner", "w0", new(model)).Generate(context.Background(), ask("a"), lm.Sampling{})
			if err != nil || got.Text == "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// A worker that was taken for dead gets what was stored in its absence.
func TestFirstStoredResultCounts(t *testing.T) {
	address, a, b := two(t)
	release := held(t, a, "of the one taken for dead")
	ledger.Exec(t, address, "DELETE FROM claim")
	want, err := b.Generator("evaluation", "w0", new(model)).Generate(context.Background(), ask("a"), lm.Sampling{})
	must(t, err)
	got, err := release()
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	totals, err := a.Totals(context.Background())
	must(t, err)
	if len(totals) != 2 || totals[0].Made != 1 || totals[1].Made != 1 {
		t.Errorf("totals %+v: want the call for both roles", totals)
	}
}

func TestProcessesDoAStepOnce(t *testing.T) {
	address, a, b := two(t)
	var wg sync.WaitGroup
	done := 0
	for i := range 16 {
		l := []*ledger.Ledger{a, b}[i%2]
		wg.Go(func() {
			n, err := ledger.Do(context.Background(), l, "train m1", "train m1", func(context.Context) (int, error) {
				time.Sleep(50 * time.Millisecond)
				done++ // the race detector sees if two do
				return done, nil
			})
			if n != 1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		})
	}
	wg.Wait()

	// Also here the first result counts.
	started, end := make(chan struct{}), make(chan struct{})
	slow := make(chan string, 1)
	go func() {
		raw, err := a.Step(context.Background(), "train m2", "train m2", func(context.Context) (json.RawMessage, error) {
			close(started)
			<-end
			return json.RawMessage(`"slow"`), nil
		})
		slow <- fmt.Sprint(string(raw), err)
	}()
	<-started
	ledger.Exec(t, address, "DELETE FROM claim")
	fast, err := ledger.Do(context.Background(), b, "train m2", "train m2", func(context.Context) (string, error) { return "fast", nil })
	close(end)
	if got := <-slow; got != `"fast"<nil>` || fast != "fast" || err != nil {
		t.Errorf("one got %s, the other %s, %v", got, fast, err)
	}
}

// A full disk stops the run at once, keeps what was acknowledged, and pays for nothing more.
func TestFullDiskOfTheServer(t *testing.T) {
	address := pgtest.Shared(t).Fresh()
	l, err := ledger.Open(address, run)
	must(t, err)
	inner := new(model)
	g := l.Generator("questioner", "w0", inner)
	_, err = g.Generate(context.Background(), ask("a"), lm.Sampling{Seed: 1})
	must(t, err)
	// The server says the same when its disk is full.
	ledger.Exec(t, address, `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'could not extend file "base/5/16422": No space left on device' USING ERRCODE = 'disk_full'; END $$`)
	ledger.Exec(t, address, "CREATE TRIGGER full_disk BEFORE INSERT ON call EXECUTE FUNCTION full_disk()")
	for seed := range uint64(3) {
		_, err = g.Generate(context.Background(), ask("a"), lm.Sampling{Seed: 2 + seed})
		if !errors.Is(err, ledger.ErrDiskFull) || !strings.Contains(err.Error(), "free some space") {
			t.Fatal(err)
		}
	}
	t.Log(err)
	if n := inner.calls.Load(); n != 2 {
		t.Errorf("the model was asked %d times, want twice", n)
	}
	must(t, l.Close())
	ledger.Exec(t, address, "DROP TRIGGER full_disk ON call") // space was freed
	_, err = open(t, address).Generator("questioner", "w0", inner).Generate(context.Background(), ask("a"), lm.Sampling{Seed: 1})
	if n := inner.calls.Load(); n != 2 || err != nil {
		t.Errorf("an acknowledged call was lost: asked %d times, %v", n, err)
	}
}
