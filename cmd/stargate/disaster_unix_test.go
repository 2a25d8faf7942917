//go:build unix

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// disaster is something that happens to a run. It returns when what was broken is whole again.
type disaster struct {
	name   string
	engine bool // happens to Temporal, which an embedded run does without
	strike func(t *testing.T, p *performance, r *rand.Rand)
}

// disasters are what a run has to survive, on one machine and on many.
var disasters = []disaster{
	{"a process is killed", false, func(t *testing.T, p *performance, r *rand.Rand) {
		h := p.hands[r.IntN(len(p.hands))]
		h.kill(t)
		soon(r)
		h.start(t)
	}},
	{"all processes are killed", false, func(t *testing.T, p *performance, r *rand.Rand) {
		for _, h := range p.hands {
			h.kill(t)
		}
		soon(r)
		for _, h := range p.hands {
			h.start(t)
		}
	}},
	{"a process that was thought dead comes back", false, func(t *testing.T, p *performance, r *rand.Rand) {
		h := p.hands[r.IntN(len(p.hands))]
		h.signal(t, syscall.SIGSTOP)
		time.Sleep(4 * time.Second) // twice its lease
		h.signal(t, syscall.SIGCONT)
	}},
	{"the database stops and starts", false, func(t *testing.T, p *performance, r *rand.Rand) {
		must(t, p.site.postgres.Stop())
		soon(r)
		must(t, p.site.postgres.Start())
	}},
	{"the database crashes", false, func(t *testing.T, p *performance, r *rand.Rand) {
		must(t, p.site.postgres.Kill())
		soon(r)
		must(t, p.site.postgres.Start())
	}},
	{"the Temporal server is killed", true, func(t *testing.T, p *performance, r *rand.Rand) {
		p.site.temporal.Kill(t)
		soon(r)
		p.site.temporal.Restart(t)
	}},
	{"the network between workers and Temporal is cut", true, func(t *testing.T, p *performance, r *rand.Rand) {
		p.site.link.Cut()
		time.Sleep(4 * time.Second)
		p.site.link.Mend()
	}},
	{"a worker and the server are killed, and the database crashes", true, func(t *testing.T, p *performance, r *rand.Rand) {
		h := p.hands[r.IntN(len(p.hands))]
		h.kill(t)
		p.site.temporal.Kill(t)
		must(t, p.site.postgres.Kill())
		soon(r)
		must(t, p.site.postgres.Start())
		p.site.temporal.Restart(t)
		h.start(t)
	}},
}

// soon lets a moment pass in which something is broken.
func soon(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Runs that disasters strike give the bytes of one that nothing happened to: two processes
// that share a ledger, and workers on a cluster.
func TestDisasters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	onBoth(t, 3)
}

// The same with so many that they fall into every part of a run.
func TestSoakDisasters(t *testing.T) {
	soak(t)
	onBoth(t, 24)
}

func onBoth(t *testing.T, times int) {
	for name, onCluster := range map[string]bool{"embedded": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var kinds []disaster
			for _, d := range disasters {
				if onCluster || !d.engine {
					kinds = append(kinds, d)
				}
			}
			strike(t, newSite(t, onCluster), kinds, times)
		})
	}
}

// strike strikes so many times, at random moments of as many runs as that takes, each kind of
// disaster in its turn.
func strike(t *testing.T, s *site, kinds []disaster, times int) {
	began := time.Now()
	quiet := s.perform(t, "quiet")
	quiet.await(t, false)
	took := time.Since(began)
	quiet.end(t)
	questions, _ := s.user.count()
	repeatedAsksNobody(t, quiet)
	seed := uint64(began.UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	t.Logf("a quiet run takes %v and asks the user %d questions; moments from seed %d", took.Round(time.Millisecond), questions, seed)
	for done, run := 0, 1; done < times; run++ {
		s.user.forget()
		p := s.perform(t, "run"+string(rune('a'+(run-1)%26))+string(rune('a'+(run-1)/26)))
		struck := false
		for done < times {
			after := time.Duration(r.Float64() * float64(took) / 2)
			for wait := time.Now(); time.Since(wait) < after && !p.over(t, struck); {
				time.Sleep(20 * time.Millisecond)
			}
			if p.over(t, struck) {
				break
			}
			d := kinds[done%len(kinds)]
			d.strike(t, p, r)
			struck = true
			done++
			t.Logf("run %d, after %v: %s", run, after.Round(time.Millisecond), d.name)
		}
		p.await(t, struck)
		now, again := s.user.count()
		t.Logf("run %d is over; %d questions were asked again", run, again)
		if now != questions {
			t.Errorf("the user was asked %d questions, in a quiet run %d", now, questions)
		}
		sameReports(t, quiet.dir, p.dir)
		p.end(t)
	}
}

// repeatedAsksNobody does a finished run once more: all its answers are in the ledger.
func repeatedAsksNobody(t *testing.T, p *performance) {
	t.Helper()
	p.site.user.forget()
	for _, h := range p.all() {
		h.start(t)
	}
	p.await(t, false)
	if n, _ := p.site.user.count(); n > 0 {
		t.Errorf("a finished run that was repeated asked %d questions", n)
	}
	p.end(t)
}

// sameReports compares what runs tell.
func sameReports(t *testing.T, quiet, struck string) {
	t.Helper()
	for _, name := range []string{"report.json", "report.html"} {
		a, err := os.ReadFile(filepath.Join(quiet, name))
		b, err2 := os.ReadFile(filepath.Join(struck, name))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("%s differs from that of a quiet run", name)
		}
	}
}
