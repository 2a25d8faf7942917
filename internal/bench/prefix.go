package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"stargate"
	"stargate/internal/kernel"
	"stargate/lm/local"
	"stargate/nano"
	prompts "stargate/prompt"
)

// iteration is what a process found out about lines 3 and 4 of Algorithm 1 on some pairs.
type iteration struct {
	Seconds   float64
	Stats     local.Stats
	Questions int    // and as many answers
	Scores    int    // conversations scored
	Gold      int    // tokens of the gold responses they were scored by
	Digest    string // of everything said and scored
}

// iterate simulates and scores the first pairs of the experiment nano, with the built-in model
// in every role, as a run does: pairs beside each other, each scored when it has been simulated.
func iterate(pairs, threads int, o local.Options) (iteration, error) {
	cfg := stargate.Paper() // with the lengths of experiment nano
	cfg.Questioner.MaxTokens, cfg.Roleplayer.MaxTokens, cfg.Response.MaxTokens = 32, 32, 80
	files, err := nano.ModelFS()
	if err != nil {
		return iteration{}, err
	}
	o.Workers = threads
	m, err := local.Open(files, o)
	if err != nil {
		return iteration{}, err
	}
	defer m.Close()
	world, err := nano.Default()
	if err != nil {
		return iteration{}, err
	}
	split, err := world.Split(0, "A", 40, 10)
	if err != nil {
		return iteration{}, err
	}
	set, err := prompts.Embedded("nano")
	if err != nil {
		return iteration{}, err
	}
	base, roleplayer := stargate.NewBase(m, set), stargate.NewRoleplayer(m, set, cfg)
	var all []stargate.Pair
	for _, t := range split.Tasks {
		for _, p := range split.Personas {
			all = append(all, stargate.Pair{Task: stargate.Task{ID: t.ID, Text: t.Text}, Persona: stargate.Persona{ID: p.ID, Name: p.Name, Text: p.Text}, Gold: world.Gold(t, p)})
		}
	}
	if pairs > len(all) {
		return iteration{}, fmt.Errorf("%d pairs, the split has %d", pairs, len(all))
	}
	chosen := make([]stargate.Candidates, pairs)
	start := clock()
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(cfg.Concurrency)
	for i, p := range all[:pairs] {
		g.Go(func() error {
			sims, err := stargate.Simulate(ctx, cfg, "iteration 1", base.Questioner(cfg), roleplayer, p)
			if err != nil {
				return err
			}
			chosen[i], err = stargate.Choose(ctx, cfg, base, p, sims)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return iteration{}, err
	}
	it := iteration{Seconds: clock() - start, Stats: m.Stats()}
	for _, c := range chosen {
		for _, s := range c.Scored {
			it.Questions += len(s.Turns)
			it.Scores++
			it.Gold += s.Tokens
		}
	}
	text, err := json.Marshal(chosen)
	it.Digest = fmt.Sprintf("%x", sha256.Sum256(text))
	return it, err
}

// iterateChild is iterate in a process of its own: "iterate PAIRS with" or "… without".
func iterateChild(words []string, out io.Writer) error {
	if len(words) != 3 {
		return fmt.Errorf("iterate wants a number of pairs, and with or without; got %q", words)
	}
	pairs, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	threads, err := strconv.Atoi(os.Getenv("PEER_THREADS"))
	if err != nil {
		return err
	}
	// Memory enough for both: without the cache nothing is shared, and nothing shall be computed
	// twice for another reason.
	it, err := iterate(pairs, threads, local.Options{NoPrefixCache: words[2] == "without", KVBytes: 1 << 30})
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(it)
}

// prefix shows what the prefix cache and the head-where-needed save.
func prefix(o options, out io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	take := func(how string) (iteration, error) {
		var it iteration
		c := exec.Command(exe)
		c.Env = append(os.Environ(), fmt.Sprintf("%s=iterate %d %s", childVariable, o.pairs, how), "PEER_THREADS="+strconv.Itoa(o.threads))
		if o.cpu {
			c.Env = append(c.Env, "PEER_CLOCK=cpu")
		}
		var problems bytes.Buffer
		c.Stderr = &problems
		text, err := c.Output()
		if err != nil {
			return it, fmt.Errorf("%s the prefix cache: %w\n%s", how, err, problems.Bytes())
		}
		return it, json.Unmarshal(text, &it)
	}
	var with, without iteration
	var fast, slow, ratios []float64
	for range o.rounds {
		if with, err = take("with"); err != nil {
			return err
		}
		if without, err = take("without"); err != nil {
			return err
		}
		if with.Digest != without.Digest {
			return fmt.Errorf("the prefix cache changes what is said or scored: %s and %s", with.Digest, without.Digest)
		}
		fast, slow = append(fast, with.Seconds), append(slow, without.Seconds)
		ratios = append(ratios, without.Seconds/with.Seconds)
	}
	clock := "wall clock"
	if o.cpu {
		clock = "processor's time"
	}
	fmt.Fprintf(out, "experiment nano, %d pairs of 400: %d conversations scored by %d tokens, %d questions and as many answers of %d tokens\n", o.pairs, with.Scores, with.Gold, with.Questions, with.Stats.Drawn)
	fmt.Fprintf(out, "%d thread(s), %s; medians of %d rounds in turns; the same bits either way\n", o.threads, clock, o.rounds)
	fmt.Fprintf(out, "%s %s/%s, kernels %s; %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Level(), processor())
	if l := load(); l != "" {
		fmt.Fprintf(out, "load %s at the end\n", l)
	}
	a, b := with.Stats, without.Stats
	giga := func(n int64) float64 { return float64(n) / 1e9 }
	fmt.Fprintf(out, "\n| | with | without | saved |\n|---|---|---|---|\n")
	line := func(name string, x, y float64, digits int) {
		fmt.Fprintf(out, "| %s | %.*f | %.*f | %.1f %% |\n", name, digits, x, digits, y, 100*(1-x/y))
	}
	line("tokens through the layers", float64(a.Computed), float64(b.Computed), 0)
	line("GFLOP", giga(a.FLOPs), giga(b.FLOPs), 1)
	line("GFLOP, were every token's prediction made", giga(a.FLOPs+a.HeadFLOPs), giga(b.FLOPs+b.HeadFLOPs), 1)
	line("passes over the weights", float64(a.Steps), float64(b.Steps), 0)
	line("seconds", median(fast), median(slow), 2)
	fmt.Fprintf(out, "\nprefix cache: %d tokens found, %.1f GFLOP saved; head where needed: %.1f GFLOP saved beside that\n", a.Reused, giga(a.PrefixFLOPs), giga(a.HeadFLOPs))
	full := b.FLOPs + b.HeadFLOPs
	fmt.Fprintf(out, "operations without either: %.2f times as many; time without the cache: %.2f times as long (must reach ≥ 2)\n", float64(full)/float64(a.FLOPs), median(ratios))
	return nil
}
