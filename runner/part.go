package runner

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"stargate"
	"stargate/eval"
	"stargate/report"
)

// Part is a run of which this process does parts: shards of pairs, fine-tunes, the report.
// Each is the code of [Run], with the ledger's calls instead of what other processes have
// done. Methods may be called concurrently.
type Part struct {
	session *session
	options Options
	base    *base
	in      stargate.Input

	opening  chan struct{} // held while models are opened or made
	mu       sync.Mutex
	policies map[Policy]stargate.Questioner
}

// Policy refers to a policy of a run: m0, or a fine-tune by its step in the ledger.
type Policy struct {
	Name   string `json:"name"`           // "m0", "m1", …
	Step   string `json:"step,omitempty"` // key of the fine-tune; "" for m0
	Digest string `json:"digest"`         // of the weights
}

// Tally is what was done for some pairs.
type Tally struct {
	Pairs     int `json:"pairs"`
	Completed int `json:"completed"` // conversations
	Dropped   int `json:"dropped"`   // conversations, each for a flaw that the report counts
	Selected  int `json:"selected"`
	// Digest is the sum, modulo 2^64, of a hash of what was selected for each pair. It does
	// not depend on how the pairs were cut into shards.
	Digest uint64 `json:"digest,string"`
}

// Plus adds what was done for other pairs.
func (t Tally) Plus(u Tally) Tally {
	return Tally{t.Pairs + u.Pairs, t.Completed + u.Completed, t.Dropped + u.Dropped, t.Selected + u.Selected, t.Digest + u.Digest}
}

// Reported is a finished run, by reference.
type Reported struct {
	Place  string `json:"place"`  // directory of the worker, or the name of a directory in the store
	Digest string `json:"digest"` // SHA-256 of report.json, in hexadecimal
}

// ErrTally: what the ledger holds is not what the shards told.
var ErrTally = errors.New("the ledger does not hold what the shards told")

func newPart(s *session, o Options) (*Part, error) {
	p := &Part{session: s, options: o, opening: make(chan struct{}, 1), policies: map[Policy]stargate.Questioner{}}
	var err error
	if p.base, err = s.openBase(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.base = stargate.NewBase(p.base, s.prompts)
	p.in = s.input()
	p.in.Observe, p.in.Known, p.in.Visit, p.in.Keep = nil, nil, nil, nil
	return p, nil
}

// Close closes the run. Adapters that it had model servers load stay there for other
// workers; the one that makes the report unloads them.
func (p *Part) Close() error {
	p.session.models.loaded = nil
	return p.session.close()
}

// Usable is nil while the part can work. Else it has to be opened anew, once what is wrong is
// mended.
func (p *Part) Usable() error { return p.session.ledger.Usable() }

// Converse does lines 3 to 5 of Algorithm 1 for the pairs from..to-1 of iteration n's split.
// Only these pairs are in memory.
func (p *Part) Converse(ctx context.Context, n int, asks Policy, from, to int, progress func(pairs int)) (Tally, error) {
	return p.once(ctx, fmt.Sprintf("shard: iteration %d, %s, pairs %d to %d", n, asks.Digest, from, to), func() (Tally, error) {
		if !p.wholeShard(n, from, to) {
			return p.converse(ctx, n, asks, from, to, progress, func(int, stargate.Candidates, []stargate.Selected) {})
		}
		return p.publishShard(ctx, n, asks, from, to, progress)
	})
}

// once is the tally that the ledger keeps for a shard, or that of doing it.
func (p *Part) once(ctx context.Context, key string, do func() (Tally, error)) (t Tally, err error) {
	found, err := p.session.ledger.Get(ctx, key, &t)
	if err != nil || found {
		return t, err
	}
	t, err = do()
	if err = errors.Join(err, p.session.giveBack(ctx)); err != nil { // others may need it
		return t, err
	}
	return t, p.session.ledger.Put(ctx, key, t)
}

func (p *Part) converse(ctx context.Context, n int, asks Policy, from, to int, progress func(int), keep func(i int, best stargate.Candidates, sel []stargate.Selected)) (t Tally, err error) {
	if most := len(p.in.Split(n).Pairs); from < 0 || from > to || to > most {
		return t, fmt.Errorf("%w: pairs %d to %d of %d", ErrOtherRun, from, to, most)
	}
	policy, err := p.policy(ctx, asks)
	if err != nil {
		return t, err
	}
	var mu sync.Mutex
	err = p.in.Pairs(ctx, n, policy, from, to, func(i int, best stargate.Candidates, sel []stargate.Selected) error {
		one := tallyOf(best, sel)
		keep(i, best, sel)
		mu.Lock()
		defer mu.Unlock()
		t = t.Plus(one)
		progress(t.Pairs)
		return nil
	})
	return t, err
}

func tallyOf(best stargate.Candidates, sel []stargate.Selected) Tally {
	text, err := json.Marshal(sel)
	if err != nil {
		panic(err) // strings and finite numbers
	}
	sum := sha256.Sum256(text)
	return Tally{Pairs: 1, Completed: len(best.Scored), Dropped: len(best.Dropped), Selected: len(sel), Digest: binary.LittleEndian.Uint64(sum[:8])}
}

// Train makes the policy of iteration n from what was selected: read from the shards of
// conversations in the store, or else gone through again from the ledger. It fails with
// [ErrTally] if that is not what the shards told.
func (p *Part) Train(ctx context.Context, n int, asked Policy, chosen Tally, progress func(note string)) (out Policy, err error) {
	key := fmt.Sprintf("policy of iteration %d after %s", n, asked.Digest)
	if found, err := p.session.ledger.Get(ctx, key, &out); err != nil || found {
		return out, err
	}
	selected, err := p.selected(ctx, n, asked, chosen, progress)
	if err != nil {
		return out, err
	}
	if err := p.enter(ctx); err != nil {
		return out, err
	}
	defer p.leave()
	defer func() { err = errors.Join(err, p.session.giveBack(ctx)) }() // to those who converse, of a trainer that is paid
	progress("training")
	policy, _, _, err := p.in.Train(ctx, n, selected)
	if err != nil {
		return out, err
	}
	if out, err = p.reference(ctx, fmt.Sprintf("m%d", n)); err != nil {
		return out, err
	}
	p.mu.Lock()
	p.policies[out] = policy
	p.mu.Unlock()
	return out, p.session.ledger.Put(ctx, key, out)
}

// selected are those of iteration n, in the split's order.
func (p *Part) selected(ctx context.Context, n int, asked Policy, chosen Tally, progress func(note string)) ([]stargate.Selected, error) {
	of := len(p.in.Split(n).Pairs)
	read := func(pairs int) { progress(fmt.Sprintf("read %d of %d pairs", pairs, of)) }
	if sel, ok, err := p.publishedSelection(ctx, n, asked, chosen, read); ok || err != nil {
		return sel, err
	}
	selected := make([][]stargate.Selected, of)
	t, err := p.converse(ctx, n, asked, 0, of, read, func(i int, _ stargate.Candidates, sel []stargate.Selected) { selected[i] = sel })
	if err != nil {
		return nil, err
	}
	if t != chosen {
		return nil, fmt.Errorf("%w: iteration %d: %+v, and the shards %+v", ErrTally, n, t, chosen)
	}
	return slices.Concat(selected...), nil
}

// reference is the policy of this name that was just opened.
func (p *Part) reference(ctx context.Context, name string) (Policy, error) {
	out := Policy{Name: name, Digest: p.session.models.digests[name]}
	err := p.session.ledger.Steps(ctx, "tune "+name, func(key string, result json.RawMessage) error {
		var t tuned
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("the fine-tune %s in the ledger: %w", name, err)
		}
		if t.Digest == out.Digest {
			out.Step = key
		}
		return nil
	})
	if err == nil && out.Step == "" {
		err = fmt.Errorf("%w: the fine-tune %s", ErrTally, name)
	}
	return out, err
}

// enter waits until no other model is opened or made.
func (p *Part) enter(ctx context.Context) error {
	select {
	case p.opening <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Part) leave() { <-p.opening }

// policy opens the policy that a reference names: from this machine's directory, else from
// the store.
func (p *Part) policy(ctx context.Context, ref Policy) (stargate.Questioner, error) {
	if ref.Step == "" {
		if ref.Digest != p.session.cast.questioner.digest {
			return stargate.Questioner{}, fmt.Errorf("%w: the base model is %.12s… here, and %.12s… in the run", ErrOtherRun, p.session.cast.questioner.digest, ref.Digest)
		}
		return p.in.Base.Questioner(p.in.Config), nil
	}
	if err := p.enter(ctx); err != nil {
		return stargate.Questioner{}, err
	}
	defer p.leave()
	p.mu.Lock()
	q, there := p.policies[ref]
	p.mu.Unlock()
	if there {
		return q, nil
	}
	q, err := p.open(ctx, ref)
	if err != nil {
		return q, fmt.Errorf("policy %s: %w", ref.Name, err)
	}
	p.mu.Lock()
	p.policies[ref] = q
	p.mu.Unlock()
	return q, nil
}

func (p *Part) open(ctx context.Context, ref Policy) (q stargate.Questioner, err error) {
	var done tuned
	found := false
	err = p.session.ledger.Steps(ctx, "tune "+ref.Name, func(key string, result json.RawMessage) error {
		if key != ref.Step {
			return nil
		}
		found = true
		return json.Unmarshal(result, &done)
	})
	if err != nil {
		return q, err
	}
	if !found || done.Digest != ref.Digest {
		return q, fmt.Errorf("%w: no fine-tune %.12s… with digest %.12s…", ErrTally, ref.Step, ref.Digest)
	}
	models := p.session.models
	dir := models.place(ref.Name, ref.Step)
	if err := models.bring(ctx, ref.Name, done.Digest, dir); err != nil {
		return q, err
	}
	policy, digest, err := p.base.openTuned(ctx, ref.Name, dir, done)
	if err != nil {
		return q, err
	}
	if digest != done.Digest {
		return q, fmt.Errorf("%s is not the model this run made (digest %.12s…, the ledger has %.12s…): it was changed; remove it", dir, digest, done.Digest)
	}
	models.digests[ref.Name] = done.Digest
	model := models.ledger.Generator(models.role(p.base.policyRole()), done.Digest, policy)
	return stargate.NewQuestioner(model, p.in.Prompts, p.in.Config), nil
}

// Evaluate makes the calls of the evaluation that concern the pairs from..to-1 of the test
// split. policies are m0, m1, … in their order.
func (p *Part) Evaluate(ctx context.Context, policies []Policy, from, to int, progress func(pairs int)) (Tally, error) {
	key := fmt.Sprintf("shard: evaluation of %s, pairs %d to %d", policies[len(policies)-1].Digest, from, to)
	return p.once(ctx, key, func() (Tally, error) {
		in, err := p.session.evaluation()
		if err != nil {
			return Tally{}, err
		}
		for _, ref := range policies {
			q, err := p.policy(ctx, ref)
			if err != nil {
				return Tally{}, err
			}
			in.Models = append(in.Models, eval.Model{Name: ref.Name, Policy: q.WithPreamble(false)})
			if ref.Step == "" && in.Config.ResponsePreamble {
				in.Baselines = []eval.Model{{Name: "m0 with the preamble", Policy: q.WithPreamble(true)}}
			}
		}
		if err := eval.Ask(ctx, in, from, to); err != nil {
			return Tally{}, err
		}
		progress(to - from)
		return Tally{Pairs: to - from}, nil
	})
}

// Report makes the report as [Run] does, of what the ledger holds by now, and publishes it in
// the store.
func (p *Part) Report(ctx context.Context, progress func(note string)) (Reported, error) {
	o := p.options
	o.Observe = func(e Event) { progress(fmt.Sprintf("%s: %d of %d", e.Stage, e.Done, e.Total)) }
	if p.session.whole { // else what was read says less than what the oracle made of it
		o.loaded = &p.session.data
	}
	out, err := Run(ctx, o)
	if err != nil {
		return Reported{}, err
	}
	text, err := os.ReadFile(filepath.Join(out.Dir, report.ResultFile))
	if err != nil {
		return Reported{}, err
	}
	sum := sha256.Sum256(text)
	r := Reported{Place: out.Dir, Digest: hex.EncodeToString(sum[:])}
	if p.session.store == nil {
		return r, nil
	}
	r.Place = "report/" + r.Digest
	return r, p.publishReport(ctx, out.Dir, r.Place)
}

// reportFiles are what a run leaves for others, besides its models.
var reportFiles = []string{report.ResultFile, report.BrowseFile, report.PageFile, eval.PairsFile, eval.ResponsesFile}

func (p *Part) publishReport(ctx context.Context, dir, name string) error {
	made, err := os.MkdirTemp(dir, "report-*"+temporarySuffix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	for _, f := range reportFiles {
		if err := os.Link(filepath.Join(dir, f), filepath.Join(made, f)); err != nil {
			return fmt.Errorf("publish the report: %w", err)
		}
	}
	_, err = p.session.store.PublishDirectory(ctx, name, made)
	return err
}
