package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate"
	"stargate/internal/simserver"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/failure"
	"stargate/lm/remote/fleet"
	"stargate/prompt"
)

var (
	_ remote.Transport = (*fleet.Fleet)(nil)
	_ remote.Transport = fleet.Single{}
)

// TestErrorsAreTheDrivers: package remote has the same error types under names of its own.
func TestErrorsAreTheDrivers(t *testing.T) {
	if _, ok := errors.AsType[*remote.StatusError](error(&failure.StatusError{})); !ok {
		t.Error("a StatusError of package failure is not one of package remote")
	}
	if _, ok := errors.AsType[*remote.NoAnswerError](error(&failure.NoAnswerError{})); !ok {
		t.Error("a NoAnswerError of package failure is not one of package remote")
	}
}

// play is Algorithm 1 with its three roles on simulated servers: the drivers of package
// remote, fleets, and no network.
type play struct {
	in      stargate.Input
	servers hosts
	fleets  []*fleet.Fleet
}

// base is Q_BASE on two servers, one that draws and one that scores. Training it changes
// nothing.
type base struct {
	lm.Generator
	lm.Scorer
}

func (b base) Tune(context.Context, string, []lm.Example, lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	return b.Generator, lm.TuneLog{}, nil
}

// newPlay puts each role on the server of the given name, with tasks × personas pairs in
// split A.
func newPlay(t *testing.T, tasks, personas int, questioner, roleplayer, scorer string, change func(*simserver.Options)) *play {
	t.Helper()
	prompts, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	p := &play{servers: hosts{}}
	clients := map[string]*remote.Client{}
	for _, name := range []string{questioner, roleplayer, scorer} {
		if clients[name] != nil {
			continue
		}
		p.servers[name] = simulated(t, change)
		f, err := fleet.New(fleet.Options{Role: name, RoundTripper: p.servers, Endpoints: []fleet.Endpoint{{URL: "http://" + name}}, Attempt: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		p.fleets = append(p.fleets, f)
		clients[name], err = remote.Open(t.Context(), remote.Role{URL: "http://" + name, Model: "sim"}, remote.Options{Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		p.servers[name].Reset()
	}
	cfg := stargate.Paper()
	cfg.Seed, cfg.Iterations = 7, 1
	p.in = stargate.Input{
		Config: cfg, Prompts: prompts,
		Base:       stargate.NewBase(base{clients[questioner], clients[scorer]}, prompts),
		Roleplayer: stargate.NewRoleplayer(clients[roleplayer], prompts, cfg),
		A:          pairs("A", tasks, personas), B: pairs("B", 1, 1),
	}
	return p
}

func pairs(split string, tasks, personas int) stargate.Split {
	s := stargate.Split{Name: split}
	for j := range personas {
		for i := range tasks {
			s.Pairs = append(s.Pairs, stargate.Pair{
				Task: stargate.Task{ID: fmt.Sprintf("%s-t%d", split, i), Text: fmt.Sprintf("Help me plan %s %d for my friends, and tell me what I have to buy for it.", split, i)},
				Persona: stargate.Persona{ID: fmt.Sprintf("%s-u%d", split, j), Name: fmt.Sprintf("Ada %d", j),
					Text: strings.Repeat(fmt.Sprintf("I am person %s %d of this world, and there is much to say about me. ", split, j), 10)},
				Gold: strings.Repeat(fmt.Sprintf("The gold response %s %d %d says what to do first, and then what to do next. ", split, i, j), 8),
			})
		}
	}
	return s
}

func (p *play) run(t *testing.T) stargate.Iteration {
	t.Helper()
	its, err := stargate.Run(t.Context(), p.in)
	if err != nil {
		t.Fatal(err)
	}
	return its[0]
}

// barriers does what stargate.Run does for split A in the way of scripts: every stage for all
// conversations before the next one begins. The draws are the same, so is the result.
func (p *play) barriers(t *testing.T) (selected []stargate.Selected) {
	t.Helper()
	cfg, ctx, scope := p.in.Config, t.Context(), "iteration 1"
	policy := p.in.Base.Questioner(cfg)
	type dialogue struct {
		pair     stargate.Pair
		sample   int
		question string
		stargate.Conversation
	}
	var all []*dialogue
	for _, pair := range p.in.A.Pairs {
		for c := range cfg.Samples {
			all = append(all, &dialogue{pair: pair, sample: c, Conversation: stargate.Conversation{Pair: pair.Key(), Sample: c, Outcome: stargate.Complete}})
		}
	}
	stage := func(turn int, do func(d *dialogue) error) {
		var wg sync.WaitGroup
		for _, d := range all {
			if turn < stargate.Length(cfg.Seed, scope, d.pair.Key(), cfg.MaxTurns) {
				wg.Go(func() {
					if err := do(d); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	}
	for k := range cfg.MaxTurns {
		stage(k, func(d *dialogue) error {
			c, err := policy.Ask(ctx, d.pair.Persona.Name, d.pair.Task, d.Turns, stargate.Seed(cfg.Seed, "ask", scope, d.pair.Key(), d.sample, k, 0))
			d.question = c.Text
			return err
		})
		stage(k, func(d *dialogue) error {
			c, err := p.in.Roleplayer.Answer(ctx, d.pair.Persona, d.pair.Task, d.Turns, d.question, stargate.Seed(cfg.Seed, "answer", scope, d.pair.Key(), d.sample, k, 0))
			d.Turns = append(d.Turns, stargate.Turn{Question: d.question, Answer: c.Text})
			return err
		})
	}
	scores := map[*dialogue]lm.LogProb{}
	var mu sync.Mutex
	stage(0, func(d *dialogue) error {
		l, err := p.in.Base.LogProb(ctx, d.pair.Persona.Name, d.pair.Task, d.Turns, d.pair.Gold)
		mu.Lock()
		defer mu.Unlock()
		scores[d] = l
		return err
	})
	best := map[string]*dialogue{}
	for _, d := range all {
		if b := best[d.Pair]; b == nil || scores[d].Sum > scores[b].Sum {
			best[d.Pair] = d
		}
	}
	responses := map[string]string{}
	stage(0, func(d *dialogue) error {
		if best[d.Pair] != d {
			return nil
		}
		r, err := policy.Respond(ctx, d.pair.Persona.Name, d.pair.Task, d.Turns)
		mu.Lock()
		defer mu.Unlock()
		responses[d.Pair] = r.Text
		return err
	})
	for _, pair := range p.in.A.Pairs {
		d := best[pair.Key()]
		selected = append(selected, stargate.Selected{Pair: pair, Outcome: stargate.Complete, Response: responses[pair.Key()],
			Best: stargate.Scored{Conversation: d.Conversation, LogProb: scores[d].Sum, Tokens: len(scores[d].Tokens)}})
	}
	return selected
}

// TestNoBarriers: pairs that do not wait for each other keep three servers busy at once. A
// schedule with barriers has the same result later.
func TestNoBarriers(t *testing.T) {
	const want = 1.5
	tasks, personas := 6, 5
	if os.Getenv("STARGATE_SOAK") != "" {
		tasks, personas = 24, 20
	}
	for _, c := range []struct {
		name                           string
		questioner, roleplayer, scorer string
		least                          float64
	}{
		{"a server for each role", "questioner", "roleplayer", "scorer", want},
		{"one server for all", "all", "all", "all", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var took [2]time.Duration
			var selected [2][]stargate.Selected
			for i, schedule := range []func(*play, *testing.T) []stargate.Selected{
				func(p *play, t *testing.T) []stargate.Selected { return p.run(t).Selected }, (*play).barriers,
			} {
				synctest.Test(t, func(t *testing.T) {
					p := newPlay(t, tasks, personas, c.questioner, c.roleplayer, c.scorer, nil)
					began := time.Now()
					selected[i] = schedule(p, t)
					took[i] = time.Since(began)
					for name, s := range p.servers {
						r := s.Report()
						t.Logf("%-10s %6d requests, %5.1f %% of its maximum, %5.1f %% from cache", name, r.Requests, 100*r.Least.Seconds()/took[i].Seconds(), 100*float64(r.Cached)/float64(r.Prompt))
					}
				})
			}
			if d := cmp.Diff(selected[0], selected[1]); d != "" {
				t.Fatalf("the schedules select different conversations:\n%s", d)
			}
			ratio := took[1].Seconds() / took[0].Seconds()
			t.Logf("%d pairs: %v without barriers, %v with: %.2f times as fast", len(selected[0]), took[0].Round(time.Second), took[1].Round(time.Second), ratio)
			if ratio < c.least {
				t.Errorf("%.2f times as fast, want %.2f", ratio, c.least)
			}
		})
	}
}

// TestFaultsChangeNothing: a run in which every fifth attempt fails ends with the same
// conversations, scores and responses as one without faults.
func TestFaultsChangeNothing(t *testing.T) {
	var results [2]stargate.Iteration
	for i, faults := range []simserver.Faults{{},
		{Busy: 0.04, Error: 0.04, Cut: 0.03, Hang: 0.02, Garbage: 0.02, Empty: 0.02, Truncated: 0.02, WrongModel: 0.01, Seed: 1}} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, 6, 4, "questioner", "roleplayer", "scorer", func(o *simserver.Options) { o.Faults = faults })
			results[i] = p.run(t)
			results[i].Policy = stargate.Questioner{}
			for _, f := range p.fleets {
				s := f.Stats()
				t.Logf("%d calls, attempts %v", s.Calls, s.Attempts)
				if s.Failed > 1 || s.InFlight > 0 || s.Waiting > 0 { // one is the driver asking whether the server can echo
					t.Errorf("statistics %+v", s)
				}
			}
		})
	}
	if d := cmp.Diff(results[0], results[1], cmp.AllowUnexported(stargate.Questioner{})); d != "" {
		t.Errorf("faults changed the result:\n%s", d)
	}
}
