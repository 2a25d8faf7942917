package ledger_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stargate/ledger"
	"stargate/lm"
)

var benchAnswer = strings.Repeat("What do you like? ", 8)

type instant struct{}

func (instant) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{Text: benchAnswer, Tokens: make([]int32, 36), Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: 200, CompletionTokens: 36}}, nil
}

// BenchmarkJournal measures calls to a model that answers at once: what the ledger costs.
func BenchmarkJournal(b *testing.B) {
	chat := lm.Chat{{Role: lm.System, Content: strings.Repeat("instruction ", 40)}, {Role: lm.User, Content: "My name is Ann.\n\nPlan a trip."}}
	ask := func(b *testing.B, l *ledger.Ledger, callers int) {
		g := l.Generator("questioner", "w0", instant{})
		var next atomic.Uint64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for k := next.Add(1); k <= uint64(b.N); k = next.Add(1) {
					if _, err := g.Generate(context.Background(), chat, lm.Sampling{Seed: k}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	}
	for _, c := range []struct {
		name    string
		callers int
	}{{"callers=1", 1}, {"callers=8", 8}, {"callers=1000", 1000}} {
		b.Run("make/"+c.name, func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "ledger.db"))
			b.ResetTimer()
			ask(b, l, c.callers)
			b.StopTimer()
		})
		b.Run("replay/"+c.name, func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "ledger.db"))
			ask(b, l, 1000)
			b.ResetTimer()
			ask(b, l, c.callers)
			b.StopTimer()
		})
	}
	b.Run("open", func(b *testing.B) { // a finished ledger of 50,000 calls
		path := filepath.Join(b.TempDir(), "ledger.db")
		l, err := ledger.Open(path, run)
		if err != nil {
			b.Fatal(err)
		}
		g := l.Generator("questioner", "w0", instant{})
		var wg sync.WaitGroup
		for caller := range uint64(500) {
			wg.Go(func() {
				for k := range uint64(100) {
					if _, err := g.Generate(context.Background(), chat, lm.Sampling{Seed: caller*100 + k}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for range b.N {
			l, err := ledger.Open(path, run)
			if err != nil {
				b.Fatal(err)
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
