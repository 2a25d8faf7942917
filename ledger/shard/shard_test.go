package shard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"stargate"
	"stargate/ledger/shard"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, address string) *shard.Store {
	t.Helper()
	s, err := shard.Open(context.Background(), address)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// gatewayVariable is the path of versitygw, an S3 server over a folder: tests then use it
// too (make s3).
const gatewayVariable = "STARGATE_VERSITYGW"

// gateway starts versitygw over an empty folder and returns its address.
func gateway(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "runs"), 0o700)) // a bucket
	cmd := exec.Command(os.Getenv(gatewayVariable), "--port", address, "--access", "key", "--secret", "secret", "posix", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", out.Bytes())
		}
	})
	for range 500 {
		c, err := net.Dial("tcp", address)
		if err == nil {
			must(t, c.Close())
			return "http://" + address
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("versitygw does not answer: %s", out.Bytes())
	return ""
}

// eachStore runs a test on a folder and on an S3 server in this process. Again opens the
// same place once more, as another process would.
func eachStore(t *testing.T, test func(t *testing.T, again func() *shard.Store)) {
	t.Run("file", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "shards")
		test(t, func() *shard.Store { return open(t, dir) })
	})
	t.Run("s3", func(t *testing.T) {
		backend := s3mem.New()
		must(t, backend.CreateBucket("runs"))
		server := httptest.NewServer(gofakes3.New(backend).Server())
		t.Cleanup(server.Close)
		t.Setenv("AWS_ACCESS_KEY_ID", "key")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
		address := "s3://runs/nano/shards?region=us-east-1&use_path_style=true&endpoint=" + server.URL
		test(t, func() *shard.Store { return open(t, address) })
	})
	if os.Getenv(gatewayVariable) == "" {
		return
	}
	t.Run("versitygw", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "key")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
		address := "s3://runs/nano/shards?region=us-east-1&use_path_style=true&endpoint=" + gateway(t)
		test(t, func() *shard.Store { return open(t, address) })
	})
}

// pairs makes what n pairs from number from on leave behind: ten samples, one dropped, one chosen.
func pairs(from, n int) (rows []shard.Conversation, all []stargate.Candidates, selected []stargate.Selected) {
	for i := from; i < from+n; i++ {
		c := stargate.Candidates{Pair: stargate.Pair{Task: stargate.Task{ID: fmt.Sprintf("t%d", i/50), Text: "Plan."}, Persona: stargate.Persona{ID: fmt.Sprintf("u%d", i%50), Name: "Ann", Text: "…"}, Gold: "Go."}}
		for k := range 10 {
			s := stargate.Conversation{Pair: c.Pair.Key(), Sample: k, Outcome: stargate.Complete}
			for turn := range 1 + i%3 {
				s.Turns = append(s.Turns, stargate.Turn{Question: fmt.Sprintf("question %d of %d in %d?", turn, k, i), Answer: strings.Repeat("an answer ", 5)})
			}
			if k == 3 {
				s.Outcome, s.Redrawn = "too-long", []stargate.Flaw{"no-question", "too-long"}
				s.Turns[0].Answer = "NUL \x00 and \xff"
				c.Dropped = append(c.Dropped, s)
				continue
			}
			c.Scored = append(c.Scored, stargate.Scored{Conversation: s, LogProb: -float64(i*10+k) / 3, Tokens: 40})
		}
		c.Best = []int{i % 9, (i + 1) % 9}
		sel := []stargate.Selected{
			{Pair: c.Pair, Best: c.Scored[c.Best[0]], Response: fmt.Sprintf("response %d", i), Outcome: stargate.Complete},
			{Pair: c.Pair, Best: c.Scored[c.Best[1]], Outcome: "empty"},
		}
		rows = append(rows, shard.Conversations(2, "A", c, sel)...)
		all, selected = append(all, c), append(selected, sel...)
	}
	return rows, all, selected
}

func TestStageIsWrittenAndReadBack(t *testing.T) {
	eachStore(t, func(t *testing.T, again func() *shard.Store) {
		ctx := context.Background()
		const stage, shards, each = "it1/simulate", 4, 60
		var entries []shard.Entry
		var want []stargate.Candidates
		var wantSelected []stargate.Selected
		s := again()
		if _, err := s.Manifest(ctx, stage); !errors.Is(err, shard.ErrNotExist) {
			t.Errorf("a stage that was not begun: %v", err)
		}
		for n := range shards {
			rows, all, selected := pairs(n*each, each)
			want, wantSelected = append(want, all...), append(wantSelected, selected...)
			if _, found, err := shard.Inspect[shard.Conversation](ctx, s, stage, n); found || err != nil {
				t.Errorf("before it was published: %v, %v", found, err)
			}
			e, err := shard.Publish(ctx, s, stage, n, rows)
			must(t, err)
			same, err := shard.Publish(ctx, again(), stage, n, rows)
			if d := cmp.Diff(e, same); d != "" || err != nil {
				t.Errorf("published again: %v\n%s", err, d)
			}
			inspected, found, err := shard.Inspect[shard.Conversation](ctx, again(), stage, n)
			if d := cmp.Diff(e, inspected); d != "" || err != nil || !found {
				t.Errorf("inspected: %v, %v\n%s", found, err, d)
			}
			entries = append(entries, e)
		}
		sealed, err := shard.Seal[shard.Conversation](ctx, s, stage, entries)
		must(t, err)
		_, err = shard.Seal[shard.Conversation](ctx, again(), stage, entries)
		must(t, err)

		s = again()
		m, err := s.Manifest(ctx, stage)
		if d := cmp.Diff(sealed, m); d != "" || err != nil {
			t.Fatalf("%v\n%s", err, d)
		}
		if m.Rows != shards*each*10 || m.Pairs != shards*each {
			t.Errorf("%d rows of %d pairs", m.Rows, m.Pairs)
		}
		var got []stargate.Candidates
		var gotSelected []stargate.Selected
		var rows []shard.Conversation
		flush := func() {
			c, sel, err := shard.Candidates(want[len(got)].Pair, rows)
			must(t, err)
			got, gotSelected, rows = append(got, c), append(gotSelected, sel...), nil
		}
		for r, err := range shard.Rows[shard.Conversation](ctx, s, m) {
			must(t, err)
			if len(rows) > 0 && r.Sample == 0 {
				flush()
			}
			rows = append(rows, r)
		}
		flush()
		if d := cmp.Diff(want, got) + cmp.Diff(wantSelected, gotSelected); d != "" {
			t.Error(d)
		}
		must(t, shard.Verify[shard.Conversation](ctx, s, m))
		for range shard.Rows[shard.Conversation](ctx, s, m) {
			break // a reader may stop early
		}
		if err := shard.Verify[shard.Call](ctx, s, m); err == nil || !strings.Contains(err.Error(), `"conversation 1"`) {
			t.Errorf("conversations read as calls: %v", err)
		}
	})
}

// The first to publish a name wins; nobody's data is replaced, and no half of a shard is seen.
func TestFirstPublisherWins(t *testing.T) {
	eachStore(t, func(t *testing.T, again func() *shard.Store) {
		ctx := context.Background()
		const writers = 8
		var wg sync.WaitGroup
		entries := make([]shard.Entry, writers)
		errs := make([]error, writers)
		for i := range writers {
			rows, _, _ := pairs(i, 20) // different content
			s := again()
			wg.Go(func() { entries[i], errs[i] = shard.Publish(ctx, s, "it1/simulate", 0, rows) })
		}
		wg.Wait()
		there, found, err := shard.Inspect[shard.Conversation](ctx, again(), "it1/simulate", 0)
		if err != nil || !found {
			t.Fatal(found, err)
		}
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				if won++; entries[i] != there {
					t.Errorf("writer %d was told it won with %+v, there is %+v", i, entries[i], there)
				}
			case !errors.Is(err, shard.ErrConflict):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d writers won", won)
		}
		t.Log(errors.Join(errs...))
	})
}

func TestDamageIsFound(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir)
	var entries []shard.Entry
	for n := range 3 {
		rows, _, _ := pairs(n*5, 5)
		e, err := shard.Publish(ctx, s, "test", n, rows)
		must(t, err)
		entries = append(entries, e)
	}
	m, err := shard.Seal[shard.Conversation](ctx, s, "test", entries)
	must(t, err)
	path := filepath.Join(dir, filepath.FromSlash(entries[1].Name))
	whole, err := os.ReadFile(path)
	must(t, err)
	for name, spoil := range map[string]func() error{
		"a changed byte": func() error {
			b := bytes.Clone(whole)
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"cut short": func() error { return os.WriteFile(path, whole[:len(whole)-9], 0o600) },
		"gone":      func() error { return os.Remove(path) },
	} {
		must(t, spoil())
		err := shard.Verify[shard.Conversation](ctx, s, m)
		if !errors.Is(err, shard.ErrDamaged) && !errors.Is(err, shard.ErrNotExist) || !strings.Contains(err.Error(), entries[1].Name) {
			t.Errorf("%s: %v", name, err)
		}
		seen := 0
		var last error
		for _, err := range shard.Rows[shard.Conversation](ctx, s, m) {
			if last = err; err == nil {
				seen++
			}
		}
		if seen != 50 || last == nil {
			t.Errorf("%s: %d rows were given, then %v; want the 50 of the shard before", name, seen, last)
		}
		must(t, os.WriteFile(path, whole, 0o600))
	}
	must(t, shard.Verify[shard.Conversation](ctx, s, m))
}

func TestPublishRefuses(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir())
	rows, _, _ := pairs(0, 3)
	reversed := []shard.Conversation{rows[1], rows[0]}
	torn := append(append([]shard.Conversation{}, rows...), rows[0])
	for name, c := range map[string]struct {
		stage string
		n     int
		rows  []shard.Conversation
	}{
		"no rows": {"a", 0, nil}, "samples out of order": {"a", 0, reversed}, "a pair in two places": {"a", 0, torn},
		"a stage outside": {"../a", 0, rows}, "an absolute stage": {"/a", 0, rows}, "a hidden stage": {"a/.b", 0, rows}, "a negative number": {"a", -1, rows},
	} {
		if e, err := shard.Publish(ctx, s, c.stage, c.n, c.rows); err == nil {
			t.Errorf("%s: published as %+v", name, e)
		}
	}
	if _, err := shard.Publish(ctx, s, "a", 0, []shard.Call{{Key: [32]byte{2}}, {Key: [32]byte{1}}}); err == nil {
		t.Error("calls out of order were published")
	}
	a, err := shard.Publish(ctx, s, "a", 0, rows[:15]) // the second pair is cut
	must(t, err)
	b, err := shard.Publish(ctx, s, "a", 1, rows[15:])
	must(t, err)
	for name, entries := range map[string][]shard.Entry{"a pair cut between shards": {a, b}, "a shard left out": {b}, "no shards": nil} {
		if _, err := shard.Seal[shard.Conversation](ctx, s, "a", entries); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

// A server that ignores the condition would lose the first of two shards, so it is refused.
func TestStoreThatOverwrites(t *testing.T) {
	backend := s3mem.New()
	must(t, backend.CreateBucket("runs"))
	keeping := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-None-Match")
		keeping.ServeHTTP(w, r)
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s := open(t, "s3://runs?region=us-east-1&use_path_style=true&endpoint="+server.URL)
	rows, _, _ := pairs(0, 1)
	_, err := shard.Publish(context.Background(), s, "x", 0, rows)
	if !errors.Is(err, shard.ErrNotExclusive) || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	ctx := context.Background()
	for _, address := range []string{"ftp://host/dir", "s3://", "postgres://host/db", "%zz"} {
		if s, err := shard.Open(ctx, address); err == nil {
			must(t, s.Close())
			t.Errorf("%q opened", address)
		}
	}
	dir := t.TempDir()
	rows, _, _ := pairs(0, 1)
	for i, address := range []string{dir + "/a b", "file://" + dir + "/c", dir + "/new/folder"} {
		s := open(t, address)
		_, err := shard.Publish(ctx, s, "x", i, rows)
		must(t, err)
	}
	for i, path := range []string{"a b", "c", "new/folder"} {
		if _, err := os.Stat(filepath.Join(dir, path, fmt.Sprintf("x/shard-%06d.parquet", i))); err != nil {
			t.Error(err)
		}
	}
}

// The same rows make the same bytes, which is what lets two workers do one shard. If this
// fails after an update of the Parquet library, shards of runs that are under way conflict
// with their repetition: say so in the release notes.
func TestBytesOfAShardStay(t *testing.T) {
	rows, _, _ := pairs(0, 7)
	e, err := shard.Publish(context.Background(), open(t, t.TempDir()), "x", 0, rows)
	must(t, err)
	const want = "895fac26c44844e8a5effcb6d68dcc99b8bf8e8ca3e817cdb0e126a51e6ef9dd"
	if e.SHA256 != want {
		t.Errorf("digest %s, want %s", e.SHA256, want)
	}
}

func Example() {
	ctx := context.Background()
	s, err := shard.Open(ctx, "mem://")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	rows, _, _ := pairs(0, 100) // what Algorithm 1 made of a hundred pairs
	e, err := shard.Publish(ctx, s, "it1/simulate", 0, rows)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := shard.Seal[shard.Conversation](ctx, s, "it1/simulate", []shard.Entry{e})
	if err != nil {
		fmt.Println(err)
		return
	}
	chosen := 0
	for c, err := range shard.Rows[shard.Conversation](ctx, s, m) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if c.Rank != nil && *c.Rank == 0 {
			chosen++
		}
	}
	fmt.Println(e.Name, "has", m.Rows, "conversations of", m.Pairs, "pairs;", chosen, "were chosen")
	// Output:
	// it1/simulate/shard-000000.parquet has 1000 conversations of 100 pairs; 100 were chosen
}
