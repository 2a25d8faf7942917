package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/dataset/batch/batchtest"
	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
)

// bench is a filler with a driver over it and a ledger.
type bench struct {
	ledger    *ledger.Ledger
	transport *Transport
	filler    *Filler
	model     lm.Generator // journaled, answered by batches
}

func quick(o Options) Options {
	o.Poll, o.MaxPoll = time.Millisecond, 2*time.Millisecond
	if o.Grace == 0 {
		o.Grace = time.Millisecond
	}
	return o
}

func newBench(t testing.TB, path, url string, api remote.API, rest bool, o Options) *bench {
	t.Helper()
	l, err := ledger.Open(path, ledger.Identity{Name: "data", Digest: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	role := remote.Role{URL: url, Model: "oracle", API: api, Server: remote.Hosted}
	if api == remote.Anthropic {
		role.Server = ""
	}
	settings, err := role.Fleet("oracle", os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	settings.First = time.Millisecond
	live, err := fleet.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(live.Close)
	b := &bench{ledger: l, transport: NewTransport(live, l, rest)}
	client, err := remote.Open(t.Context(), role, remote.Options{Transport: b.transport})
	if err != nil {
		t.Fatal(err)
	}
	driver := b.transport.Driver(client)
	b.transport.Arm()
	var p Provider
	if api == remote.Anthropic {
		p, err = Anthropic(role, os.Getenv)
	} else {
		p, err = OpenAI(role, os.Getenv)
	}
	if err != nil {
		t.Fatal(err)
	}
	switch p := p.(type) {
	case *openAI:
		p.first = time.Millisecond
	case *anthropic:
		p.first, p.poll = time.Millisecond, time.Millisecond
	}
	b.filler = NewFiller(driver, p, l, quick(o))
	b.model = l.Generator("oracle", "oracle", driver)
	return b
}

func questions(n int) []Question {
	var out []Question
	for i := range n {
		out = append(out, Question{lm.Chat{{Role: lm.User, Content: fmt.Sprintf("Question %d?", i)}}, lm.Sampling{MaxTokens: 50, Seed: uint64(i)}})
	}
	return out
}

// once says which requests were not billed exactly once; what the probe asks is not counted.
func once(s *batchtest.Server, qs []Question) []string {
	billed := s.Billed()
	var out []string
	for _, q := range qs {
		text := q.Chat[len(q.Chat)-1].Content
		if n := billed[text]; n != 1 {
			out = append(out, fmt.Sprintf("%q: %d times", text, n))
		}
	}
	return out
}

var apis = []remote.API{remote.OpenAI, remote.Anthropic}

func TestFillAnswersEverythingOnce(t *testing.T) {
	for _, api := range apis {
		t.Run(string(api), func(t *testing.T) {
			s := batchtest.New()
			defer s.Close()
			s.Polls = 2
			s.Answer = func(body map[string]any) batchtest.Reply {
				text := fmt.Sprint(body["messages"])
				switch {
				case strings.Contains(text, "Question 3?"):
					return batchtest.Reply{Text: "Half an ans", Finish: "length"}
				case strings.Contains(text, "Question 5?") && api == remote.OpenAI:
					return batchtest.Reply{Status: 400, Code: "content_policy_violation"}
				case strings.Contains(text, "Question 5?"):
					return batchtest.Reply{Refusal: "no"}
				}
				return batchtest.Reply{Text: "Answer to " + text}
			}
			b := newBench(t, filepath.Join(t.TempDir(), "ledger.db"), s.URL, api, false, Options{MaxLines: 3})
			live := s.Live()
			qs := questions(10)
			if _, err := b.model.Generate(t.Context(), qs[0].Chat, qs[0].Sampling); !errors.Is(err, ErrUnanswered) {
				t.Errorf("before the batch: %v, want ErrUnanswered", err)
			}
			var mu sync.Mutex
			var last Progress
			b.filler.o.Observe = func(p Progress) { mu.Lock(); last = p; mu.Unlock() }
			if err := b.filler.Fill(t.Context(), append(qs, qs[0])); err != nil { // a question twice is one line
				t.Fatal(err)
			}
			if bad := once(s, qs[:5]); bad != nil || s.Jobs() != 4 || last.Total == 0 {
				t.Errorf("%v, %d jobs, progress %+v", bad, s.Jobs(), last)
			}
			for i, q := range qs {
				c, err := b.model.Generate(t.Context(), q.Chat, q.Sampling)
				switch {
				case i == 5:
					if !errors.Is(err, lm.ErrRefused) {
						t.Errorf("question 5: %+v, %v; want a refusal", c, err)
					}
				case err != nil || !strings.Contains(c.Text, "nswer") && i != 3 || i == 3 && c.Finish != lm.FinishLength || c.Usage.PromptTokens == 0:
					t.Errorf("question %d: %+v, %v", i, c, err)
				}
			}
			if s.Live() != live {
				t.Errorf("%d live calls", s.Live()-live)
			}
			if err := b.filler.Fill(t.Context(), qs); err != nil || s.Jobs() != 4 {
				t.Errorf("filled again: %v, %d jobs", err, s.Jobs())
			}
		})
	}
}

// Lines that expired, failed with 5xx or whose job found no room are sent again, and only
// those.
func TestFillSendsTheMissingAgain(t *testing.T) {
	for _, api := range apis {
		t.Run(string(api), func(t *testing.T) {
			s := batchtest.New()
			defer s.Close()
			s.Expire = func(job, lines int) int {
				if job < 2 {
					return lines / 2
				}
				return 0
			}
			if api == remote.OpenAI {
				s.Refuse = func(job int) string {
					if job == 2 {
						return "token_limit_exceeded"
					}
					return ""
				}
			}
			b := newBench(t, filepath.Join(t.TempDir(), "ledger.db"), s.URL, api, false, Options{Rounds: 5})
			qs := questions(12)
			if err := b.filler.Fill(t.Context(), qs); err != nil {
				t.Fatal(err)
			}
			if bad := once(s, qs); bad != nil {
				t.Errorf("not billed once: %v", bad)
			}
		})
	}
}

func TestFillGivesUp(t *testing.T) {
	s := batchtest.New()
	defer s.Close()
	s.Expire = func(_, lines int) int { return lines }
	b := newBench(t, filepath.Join(t.TempDir(), "ledger.db"), s.URL, remote.OpenAI, true, Options{Rounds: 2})
	qs := questions(3)
	err := b.filler.Fill(t.Context(), qs)
	if !errors.Is(err, ErrUnanswered) || !strings.Contains(err.Error(), "3 × batch_expired") || s.Jobs() != 2 {
		t.Errorf("%v after %d jobs", err, s.Jobs())
	}
	// With rest, what no batch answers is asked live.
	if c, err := b.model.Generate(t.Context(), qs[0].Chat, qs[0].Sampling); err != nil || c.Text != "You said: Question 0?" {
		t.Errorf("live: %+v, %v", c, err)
	}
	s.Expire, s.Refuse = nil, func(int) string { return "invalid_request" }
	if err := b.filler.Fill(t.Context(), qs); err == nil || errors.Is(err, ErrUnanswered) || !strings.Contains(err.Error(), "refused batch_2: invalid_request") {
		t.Errorf("a refused job: %v", err)
	}
}

// A connection that breaks at any request of a job's life costs nothing twice: not even
// where the provider has taken the job and its answer was lost.
func TestFillBearsBrokenConnections(t *testing.T) {
	for _, api := range apis {
		for _, hide := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, hidden for %d looks", api, hide), func(t *testing.T) {
				s := batchtest.New()
				defer s.Close()
				s.Polls, s.Hide = 1, hide
				var mu sync.Mutex
				broken := map[string]bool{}
				breaks := func(what string) func() bool { // the first time only
					return func() bool {
						mu.Lock()
						defer mu.Unlock()
						was := broken[what]
						broken[what] = true
						return was
					}
				}
				s.OnUpload, s.OnStatus, s.OnContent = breaks("upload"), breaks("status"), breaks("content")
				s.OnCreate = func(int) bool { return breaks("create")() }
				b := newBench(t, filepath.Join(t.TempDir(), "ledger.db"), s.URL, api, false, Options{Grace: 300 * time.Millisecond})
				qs := questions(9)
				if err := b.filler.Fill(t.Context(), qs); err != nil {
					t.Fatal(err)
				}
				want := 4
				if api == remote.Anthropic {
					want = 3 // there is no upload
				}
				if bad := once(s, qs); bad != nil || s.Jobs() != 1 || len(broken) != want {
					t.Errorf("%v, %d jobs, broken: %v", bad, s.Jobs(), broken)
				}
			})
		}
	}
}

// What an earlier process planned is finished, also when it is not asked for any more.
func TestFillFinishesFirst(t *testing.T) {
	s := batchtest.New()
	defer s.Close()
	path := filepath.Join(t.TempDir(), "ledger.db")
	b := newBench(t, path, s.URL, remote.OpenAI, false, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	s.OnStatus = func() bool { cancel(); return true }
	s.Polls = 3
	qs := questions(4)
	if err := b.filler.Fill(ctx, qs); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.OnStatus = nil
	if err := b.filler.Fill(t.Context(), qs[3:]); err != nil || s.Jobs() != 1 {
		t.Fatalf("%v, %d jobs", err, s.Jobs())
	}
	for _, q := range qs {
		if c, err := b.model.Generate(t.Context(), q.Chat, q.Sampling); err != nil || c.Text == "" {
			t.Error(c, err)
		}
	}
}

// Two draws of one prompt are two requests, also where the API has no seeds.
func TestDrawsAreToldApart(t *testing.T) {
	for _, api := range apis {
		s := batchtest.New()
		defer s.Close()
		b := newBench(t, filepath.Join(t.TempDir(), "ledger.db"), s.URL, api, false, Options{})
		chat := lm.Chat{{Role: lm.User, Content: "Invent somebody."}}
		var qs []Question
		for seed := range uint64(3) {
			qs = append(qs, Question{chat, lm.Sampling{Temperature: 1, MaxTokens: 50, Seed: seed}})
		}
		if err := b.filler.Fill(t.Context(), append(qs, qs[0])); err != nil {
			t.Fatal(err)
		}
		if n := s.Billed()["Invent somebody."]; n != 3 {
			t.Errorf("%s: %d draws, want 3", api, n)
		}
	}
}

func TestSplit(t *testing.T) {
	var lines []Line
	for i := range 10 {
		lines = append(lines, newLine("/v1/chat/completions", []byte(fmt.Sprintf(`{"n":%d}`, i)), 0))
	}
	size := lines[0].size()
	for _, c := range []struct {
		most, bytes int
		want        []int
	}{{4, 1 << 20, []int{4, 4, 2}}, {100, 3 * size, []int{3, 3, 3, 1}}, {100, 1, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}, {10, 1 << 20, []int{10}}} {
		var got []int
		for _, part := range split(lines, c.most, c.bytes) {
			got = append(got, len(part))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("most %d, bytes %d: parts of %v, want %v", c.most, c.bytes, got, c.want)
		}
	}
	if split(nil, 1, 1) != nil {
		t.Error("nothing has parts")
	}
}
