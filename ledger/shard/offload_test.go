package shard_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/ledger/shard"
	"stargate/lm"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// talker answers and scores from the seed and the target alone, oddly at times.
type talker struct{ calls atomic.Int64 }

func (m *talker) Generate(_ context.Context, _ lm.Chat, s lm.Sampling) (lm.Completion, error) {
	m.calls.Add(1)
	if s.Seed%10 == 9 {
		return lm.Completion{}, lm.ErrRefused
	}
	text := []string{"plain", "", "NUL \x00", "\xff", "ü"}[s.Seed%5]
	return lm.Completion{Text: text, Tokens: []int32{int32(s.Seed), -1}, Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: 7, CompletionTokens: 2}}, nil
}

func (m *talker) LogProb(_ context.Context, _ lm.Chat, target string) (lm.LogProb, error) {
	m.calls.Add(1)
	p := -float64(len(target)) / 3
	return lm.LogProb{Sum: 2 * p, Tokens: []lm.TokenLogProb{{ID: 1, LogProb: p}, {ID: 2, LogProb: math.Inf(-1)}}, Usage: lm.Usage{CompletionTokens: 2}}, nil
}

// pairOf does the calls of one pair; some of them other pairs need as well.
func pairOf(ctx context.Context, l *ledger.Ledger, m *talker, pair int) (out []string, err error) {
	for k := range 10 {
		c, err := l.Generator("questioner", "w0", m).Generate(ctx, nil, lm.Sampling{Seed: uint64(pair*10 + k)})
		if err != nil && !errors.Is(err, lm.ErrRefused) {
			return nil, err
		}
		out = append(out, fmt.Sprintf("%+v %v", c, err))
	}
	for _, target := range []string{fmt.Sprint("gold ", strings.Repeat("x", pair)), "shared by all"} {
		p, err := l.Scorer("scorer", "w0", m).LogProb(ctx, nil, target)
		if err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprintf("%+v", p))
	}
	return out, nil
}

// Bodies go to shards, and a resumed run reads them from there and pays for nothing.
func TestOffload(t *testing.T) {
	for name, place := range map[string]func(t *testing.T) string{
		"file":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger.db") },
		"postgres": func(t *testing.T) string { return pgtest.Shared(t).Fresh() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, path, model := context.Background(), place(t), new(talker)
			s := open(t, filepath.Join(t.TempDir(), "shards"))
			const shards, each = 3, 4
			var want []string
			var entries []shard.Entry
			work := func(l *ledger.Ledger, again bool) {
				for n := range shards {
					ctx, recorder := ledger.Recording(ctx)
					for pair := range each {
						out, err := pairOf(ctx, l, model, n*each+pair)
						must(t, err)
						if !again {
							want = append(want, out...)
						}
					}
					e, err := shard.Offload(ctx, s, l, "it1/calls", n, recorder.Keys())
					must(t, err)
					if again {
						if e != entries[n] {
							t.Errorf("offloaded again as %+v, before as %+v", e, entries[n])
						}
					} else {
						entries = append(entries, e)
					}
				}
			}
			l, err := ledger.Open(path, ledger.Identity{Name: "nano", Digest: "d"})
			must(t, err)
			l.ReadBodies(shard.NewShelf(s, 2))
			work(l, false)
			made := model.calls.Load()
			work(l, true)
			stat, err := l.Stat(ctx)
			must(t, err)
			const refused = shards * each
			if total := stat.Tables[0].Rows; total != made || stat.Moved != made-refused {
				t.Errorf("%d of %d calls were moved, want all but %d", stat.Moved, total, refused)
			}
			must(t, l.Close())

			l, err = ledger.Open(path, ledger.Identity{Name: "nano", Digest: "d"})
			must(t, err)
			l.ReadBodies(shard.NewShelf(s, 2))
			var wg sync.WaitGroup
			for range 4 { // replays from several goroutines, in any order
				wg.Go(func() {
					for _, pair := range rand.Perm(shards * each) {
						out, err := pairOf(ctx, l, model, pair)
						if d := cmp.Diff(want[pair*12:(pair+1)*12], out); d != "" || err != nil {
							t.Errorf("pair %d: %v\n%s", pair, err, d)
						}
					}
				})
			}
			wg.Wait()
			if n := model.calls.Load(); n != made {
				t.Errorf("%d calls were made again", n-made)
			}
			if _, err := shard.Offload(ctx, s, l, "it1/calls", 9, []ledger.Key{{1}}); err == nil {
				t.Error("a call that is not settled was offloaded")
			}
			if e, err := shard.Offload(ctx, s, l, "it1/calls", 9, []ledger.Key{ledger.GenerateKey("w0", nil, lm.Sampling{Seed: 9})}); err != nil || e != (shard.Entry{}) {
				t.Errorf("only errors: %+v, %v", e, err)
			}

			// A shard that is gone is an error, and is found again when it is back.
			file := filepath.Join(s.String(), filepath.FromSlash(entries[0].Name))
			must(t, os.Rename(file, file+".away"))
			l.ReadBodies(shard.NewShelf(s, 1))
			if _, err := pairOf(ctx, l, model, 0); !errors.Is(err, shard.ErrNotExist) {
				t.Errorf("without its shard: %v", err)
			}
			must(t, os.Rename(file+".away", file))
			if _, err := pairOf(ctx, l, model, 0); err != nil {
				t.Error(err)
			}
			must(t, l.Close())
		})
	}
}

// A shard of several megabytes is one object, written under its condition as a small one is.
func TestLargeShards(t *testing.T) {
	eachStore(t, func(t *testing.T, again func() *shard.Store) {
		ctx := context.Background()
		noise := rand.NewChaCha8([32]byte{})
		rows := func(bytes int) []shard.Call {
			list := make([]shard.Call, 100)
			for i := range list {
				list[i] = shard.Call{Key: [32]byte{byte(i)}, Kind: "generate", Tokens: make([]int32, bytes/len(list)/4)}
				for j := range list[i].Tokens {
					list[i].Tokens[j] = int32(noise.Uint64()) // nothing to compress
				}
			}
			return list
		}
		large := rows(9 << 20)
		e, err := shard.Publish(ctx, again(), "large", 0, large)
		if err != nil || e.Bytes < 8<<20 {
			t.Fatalf("%+v, %v", e, err)
		}
		if same, err := shard.Publish(ctx, again(), "large", 0, large); err != nil || same != e {
			t.Errorf("again: %+v, %v", same, err)
		}
		if _, err := shard.Publish(ctx, again(), "large", 0, rows(9<<20)); !errors.Is(err, shard.ErrConflict) {
			t.Errorf("another one: %v", err)
		}
		if _, err := shard.Publish(ctx, again(), "large", 1, rows(17<<20)); !errors.Is(err, shard.ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
	})
}
