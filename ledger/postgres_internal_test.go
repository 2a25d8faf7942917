package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"stargate/ledger/pgtest"
	"stargate/lm"
)

// wire cuts a connection when an armed one has sent this.
type wire struct {
	net.Conn
	armed *atomic.Bool
	word  string
}

func (w wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if err == nil && bytes.Contains(b, []byte(w.word)) && w.armed.CompareAndSwap(true, false) {
		// The server has it all and will do it; its answer is lost.
		buffer := make([]byte, 1)
		if _, err := w.Conn.Read(buffer); err != nil {
			return n, err
		}
		return n, w.Conn.Close()
	}
	return n, err
}

// A connection that is lost at its commit leaves open whether it took effect. It is found
// out, so that nothing is lost and nothing counted twice.
func TestCommitInDoubt(t *testing.T) {
	p, err := parsePostgres(pgtest.Shared(t).Fresh())
	if err != nil {
		t.Fatal(err)
	}
	var armed atomic.Bool
	dial := p.config.DialFunc
	p.config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return wire{c, &armed, "COMMIT"}, err
	}
	l, err := openPostgres(p, Identity{Name: "nano", Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	boom := errors.New("connection reset")
	failing := l.Generator("questioner", "w0", failure{boom})
	for range 3 {
		armed.Store(true)
		if _, err := failing.Generate(context.Background(), nil, lm.Sampling{}); !errors.Is(err, boom) || armed.Load() {
			t.Fatalf("got %v; not cut: %v", err, armed.Load())
		}
	}
	var attempts int
	if err := l.points.QueryRow("SELECT attempts FROM failure").Scan(&attempts); err != nil || attempts != 3 {
		t.Errorf("%d attempts are on record, want 3; %v", attempts, err)
	}
	inner := new(sameAnswer)
	for seed := range uint64(3) {
		armed.Store(true)
		if _, err := l.Generator("questioner", "w0", inner).Generate(context.Background(), nil, lm.Sampling{Seed: seed}); err != nil {
			t.Fatal(err)
		}
	}
	totals, err := l.Totals(context.Background())
	if d := cmp.Diff([]Totals{{Role: "questioner", Made: 3}}, totals); d != "" || err != nil || inner.calls != 3 {
		t.Errorf("%d calls, %v\n%s", inner.calls, err, d)
	}
}

// mute is a connection whose peer falls silent.
type mute struct {
	net.Conn
	silent *atomic.Bool
}

func (m mute) Write(b []byte) (int, error) {
	if m.silent.Load() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// A connection that is cut without a word, as a firewall does it, is given up for another.
func TestSilentConnection(t *testing.T) {
	address := pgtest.Shared(t).Fresh()
	p, err := parsePostgres(address)
	if err != nil {
		t.Fatal(err)
	}
	p.attempt = 200 * time.Millisecond
	var current atomic.Pointer[atomic.Bool] // of the connections opened since the last cut
	current.Store(new(atomic.Bool))
	dial := p.config.DialFunc
	p.config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return mute{c, current.Load()}, err
	}
	l, err := openPostgres(p, Identity{Name: "nano", Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	inner := new(sameAnswer)
	for seed := range uint64(4) {
		if _, err := l.Generator("questioner", "w0", inner).Generate(context.Background(), nil, lm.Sampling{Seed: seed}); err != nil {
			t.Fatal(err)
		}
		if seed%2 == 0 {
			current.Swap(new(atomic.Bool)).Store(true)
		}
	}
	r, err := OpenReader(address)
	if err != nil {
		t.Fatal(err)
	}
	totals, err := r.Totals(context.Background())
	err = errors.Join(err, r.Close())
	if d := cmp.Diff([]Totals{{Role: "questioner", Made: 4}}, totals); d != "" || err != nil || inner.calls != 4 {
		t.Errorf("%d calls, %v\n%s", inner.calls, err, d)
	}
}

type failure struct{ err error }

func (f failure) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{}, f.err
}

// A visitor sees every call once, also when the server goes away in the middle.
func TestVisitGoesOnAfterTheServer(t *testing.T) {
	server := pgtest.Start(t)
	l, err := Open(server.Fresh(), Identity{Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	const calls = 2000 // more than fits the buffers between server and client
	for seed := range uint64(calls) {
		if err := l.writer.submit(context.Background(), &write{key: GenerateKey("w", nil, lm.Sampling{Seed: seed}), source: &source{"r", "w", Generate}, row: &row{text: strings.Repeat("word ", 200)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := l.Put(context.Background(), key, strings.Repeat("word ", 100000)); err != nil {
			t.Fatal(err)
		}
	}
	restart := func() {
		if err := errors.Join(server.Kill(), server.Start()); err != nil {
			t.Fatal(err)
		}
	}
	var keys []Key
	if err := l.Calls(context.Background(), Filter{}, func(c Call) error {
		if keys = append(keys, c.Key); len(keys) == 7 {
			restart()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sorted := slices.IsSortedFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	if keys = slices.Compact(keys); len(keys) != calls || !sorted {
		t.Errorf("visited %d of %d calls, in order: %v", len(keys), calls, sorted)
	}
	var documents []string
	if err := l.Documents(context.Background(), "", func(key string, _ json.RawMessage) error {
		if documents = append(documents, key); len(documents) == 1 {
			restart()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b", "c"}, documents); d != "" {
		t.Error(d)
	}
}

// What is stored in the one must fit the other.
func TestSchemasAgree(t *testing.T) {
	columns := func(path, query string) (list []string) {
		l, err := Open(path, Identity{Digest: "d"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		err = l.eachRow(context.Background(), "read the schema", func() (*sql.Rows, error) { return l.db.Query(query) }, func(rows *sql.Rows) error {
			var table, column, kind string
			var null bool
			if err := rows.Scan(&table, &column, &kind, &null); err != nil {
				return err
			}
			for ours, theirs := range map[string]string{"bigint": "INTEGER", "text": "TEXT", "bytea": "BLOB", "double precision": "REAL"} {
				if kind == ours {
					kind = theirs
				}
			}
			if null {
				kind += " NULL"
			}
			list = append(list, table+"."+column+" "+kind)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	// A primary key that is no INTEGER may be NULL by SQLite's rules and is not by ours.
	file := columns(filepath.Join(t.TempDir(), "ledger.db"), `SELECT t.name, c.name, c.type, NOT c."notnull" AND c.pk = 0 FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'goose_db_version' ORDER BY 1, c.cid`)
	postgres := columns(pgtest.Shared(t).Fresh(), `SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name NOT IN ('goose_db_version', 'worker', 'claim', 'allowance', 'spending_limit') ORDER BY table_name COLLATE "C", ordinal_position`)
	if d := cmp.Diff(file, postgres); d != "" || len(file) == 0 {
		t.Errorf("a file (-) and Postgres (+) differ:\n%s", d)
	}
}

func TestEscapedTextRoundTrips(t *testing.T) {
	anyBytes := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")) })
	awkward := rapid.StringOf(rapid.SampledFrom([]rune{0, dle, 'x', '0', 'f', utf8.RuneError, 'ü'}))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), anyBytes, awkward).Draw(t, "s")
		e := EscapeText(s)
		if !utf8.ValidString(e) || strings.ContainsRune(e, 0) {
			t.Fatalf("%q became %q, which TEXT cannot hold", s, e)
		}
		if back := UnescapeText(e); back != s {
			t.Fatalf("%q became %q and came back as %q", s, e, back)
		}
		if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\x10") && e != s {
			t.Fatalf("ordinary text %q became %q", s, e)
		}
	})
}

func TestErrorsOfAServerThatIsAway(t *testing.T) {
	for _, c := range []struct {
		err  error
		away bool
	}{
		{&pgconn.PgError{Code: "57P01"}, true}, {&pgconn.PgError{Code: "57P03"}, true}, {&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "40P01"}, true}, {&pgconn.PgError{Code: "08006"}, true}, {context.DeadlineExceeded, true}, {net.ErrClosed, true},
		{&pgconn.PgError{Code: "53100"}, false}, {&pgconn.PgError{Code: "25006"}, false}, {&pgconn.PgError{Code: "28P01"}, false},
		{&pgconn.PgError{Code: "42P01"}, false}, {errors.New("anything else"), false}, {sql.ErrNoRows, false},
	} {
		if isAway(c.err) != c.away {
			t.Errorf("%v: away %v, want %v", c.err, !c.away, c.away)
		}
	}
}

func TestProcessIsKnown(t *testing.T) {
	p := thisProcess()
	if p.machine == "" {
		t.Skip("this system has no /proc")
	}
	if born, alive := bornAt(p.pid); !alive || born != p.born || born == 0 {
		t.Errorf("this process was born at %d, alive %v; want %d", born, alive, p.born)
	}
	if _, alive := bornAt(1 << 30); alive {
		t.Error("a process that never was is alive")
	}
}
