package nano

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
	"stargate/prompt"
)

// Model is what [Measure] needs of a model: text and scores.
type Model interface {
	lm.Generator
	lm.Scorer
}

// MeasureOptions says how much to measure. Zero fields take the defaults in brackets.
type MeasureOptions struct {
	Seed        uint64 // names the split and all draws
	Tasks       int    // tasks of the test split [50]
	Personas    int    // personas of the test split [10]
	Samples     int    // pairs drawn for each measurement [200]
	Concurrency int    // requests in flight; never changes a result [64]
}

// Abilities is what a model can do before any self-play: whether the loop can work at all.
type Abilities struct {
	World     string  `json:"world"`
	Questions int     `json:"questions"`
	WellForm  float64 `json:"wellformed"` // share of questions that are one of the world's
	Relevant  float64 `json:"relevant"`   // share of well-formed ones that matter to the task
	Chance    float64 `json:"chance"`     // the same when any attribute is asked alike
	Redundant float64 `json:"redundant"`  // share of well-formed ones asked before
	Answers   int     `json:"answers"`
	Copied    float64 `json:"copied"`   // share of role-played answers that state exactly the value asked for
	Greedy    float64 `json:"greedy"`   // the same at temperature 0
	Positive  Used    `json:"positive"` // given the persona itself
	Negative  Used    `json:"negative"` // given the bare task
	// Known[k]: conversations of three answers, of which k are relevant.
	Known []Used `json:"known"`
}

// Used is how responses treat what they were told.
type Used struct {
	N       int     `json:"n"`
	Right   float64 `json:"right"`   // share of the relevant facts told that the response uses
	Wrong   float64 `json:"wrong"`   // wrong facts per response
	Exact   float64 `json:"exact"`   // share of responses equal to the world's, word for word
	LogProb float64 `json:"logprob"` // mean log p(gold), nats
}

// Measure plays every role with the model, on the test split. The same model and options
// give the same figures.
func Measure(ctx context.Context, m Model, w *World, prompts *prompt.Set, o MeasureOptions) (Abilities, error) {
	defaults := func(x *int, d int) {
		if *x == 0 {
			*x = d
		}
	}
	defaults(&o.Tasks, 50)
	defaults(&o.Personas, 10)
	defaults(&o.Samples, 200)
	defaults(&o.Concurrency, 64)
	split, err := w.Split(o.Seed, "test", o.Tasks, o.Personas)
	if err != nil {
		return Abilities{}, err
	}
	e := examiner{m, w, prompts, o, split}
	a := Abilities{World: w.Name, Chance: w.Optimum(1, split.Tasks).Chance}
	if err := e.questions(ctx, &a); err != nil {
		return a, fmt.Errorf("measure questions: %w", err)
	}
	if err := e.answers(ctx, &a); err != nil {
		return a, fmt.Errorf("measure answers: %w", err)
	}
	most := 0
	for _, f := range w.Families {
		most = max(most, len(f.relevant))
	}
	for k := 0; k <= min(3, most); k++ {
		u, err := e.used(ctx, fmt.Sprint("known ", k), func(r *rand.Rand, t Task, p Persona) ([]prompt.Turn, map[string]string, bool) {
			return e.conversation(r, t, p, k, 3)
		}, false)
		if err != nil {
			return a, fmt.Errorf("measure responses with %d facts: %w", k, err)
		}
		a.Known = append(a.Known, u)
	}
	none := func(*rand.Rand, Task, Persona) ([]prompt.Turn, map[string]string, bool) { return nil, nil, true }
	if a.Negative, err = e.used(ctx, "negative", none, false); err != nil {
		return a, fmt.Errorf("measure responses to bare tasks: %w", err)
	}
	all := func(_ *rand.Rand, _ Task, p Persona) ([]prompt.Turn, map[string]string, bool) {
		return nil, p.Values, true
	}
	if a.Positive, err = e.used(ctx, "positive", all, true); err != nil {
		return a, fmt.Errorf("measure responses to personas: %w", err)
	}
	return a, nil
}

type examiner struct {
	m       Model
	w       *World
	prompts *prompt.Set
	o       MeasureOptions
	split   Split
}

// each runs fn for every sample with the sample's own random stream and pair.
func (e examiner) each(ctx context.Context, what string, fn func(ctx context.Context, i int, r *rand.Rand, t Task, p Persona) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.o.Concurrency)
	for i := range e.o.Samples {
		g.Go(func() error {
			r := stream("measure", what, e.o.Seed, i)
			return fn(ctx, i, r, pick(r, e.split.Tasks), pick(r, e.split.Personas))
		})
	}
	return g.Wait()
}

// questions plays conversations of three turns as the loop does; the world answers.
func (e examiner) questions(ctx context.Context, a *Abilities) error {
	type outcome struct{ asked, wellformed, relevant, redundant int }
	outcomes := make([]outcome, e.o.Samples)
	err := e.each(ctx, "questions", func(ctx context.Context, i int, r *rand.Rand, t Task, p Persona) error {
		var turns []prompt.Turn
		asked := map[string]bool{}
		for range 3 {
			chat, err := e.prompts.Question(p.Name, t.Text, turns)
			if err != nil {
				return err
			}
			c, err := e.m.Generate(ctx, chat, lm.Sampling{Temperature: 0.9, TopP: 0.9, MaxTokens: 40, Seed: r.Uint64()})
			if err != nil {
				return err
			}
			outcomes[i].asked++
			id, ok := e.w.Classify(c.Text)
			if !ok {
				return nil
			}
			outcomes[i].wellformed++
			if slices.Contains(e.w.Relevant(t.Text), id) {
				outcomes[i].relevant++
			}
			if asked[id] {
				outcomes[i].redundant++
			}
			asked[id] = true
			answer := fill(pick(r, e.w.Attributes[e.w.attribute[id]].Answers), p.Values[id])
			turns = append(turns, prompt.Turn{Question: c.Text, Answer: answer})
		}
		return nil
	})
	var sum outcome
	for _, o := range outcomes {
		sum.asked, sum.wellformed = sum.asked+o.asked, sum.wellformed+o.wellformed
		sum.relevant, sum.redundant = sum.relevant+o.relevant, sum.redundant+o.redundant
	}
	a.Questions = sum.asked
	a.WellForm = share(sum.wellformed, sum.asked)
	a.Relevant, a.Redundant = share(sum.relevant, sum.wellformed), share(sum.redundant, sum.wellformed)
	return err
}

// answers asks personas about everything, sampled as the loop does, and greedily.
func (e examiner) answers(ctx context.Context, a *Abilities) error {
	right, greedy := make([]int, e.o.Samples), make([]int, e.o.Samples)
	err := e.each(ctx, "answers", func(ctx context.Context, i int, r *rand.Rand, t Task, p Persona) error {
		c := corpus{w: e.w, prompts: e.prompts}
		turns, _ := c.turns(r, 1+r.IntN(3), t, p, 0)
		last := turns[len(turns)-1]
		chat, err := e.prompts.Answer(p.Name, p.Text, t.Text, turns[:len(turns)-1], last.Question)
		if err != nil {
			return err
		}
		id, _ := e.w.Classify(last.Question)
		for temperature, count := range map[float64]*int{0.9: &right[i], 0: &greedy[i]} {
			s := lm.Sampling{Temperature: temperature, MaxTokens: 40, Seed: stream("answer", e.o.Seed, i).Uint64()}
			if temperature > 0 {
				s.TopP = 0.9
			}
			got, err := e.m.Generate(ctx, chat, s)
			if err != nil {
				return err
			}
			if facts := e.w.Facts(got.Text); len(facts) == 1 && facts[0] == (Fact{id, p.Values[id]}) {
				*count = 1
			}
		}
		return nil
	})
	a.Answers = e.o.Samples
	a.Copied, a.Greedy = share(total(right), a.Answers), share(total(greedy), a.Answers)
	return err
}

// used responds greedily to what told draws, and scores the gold in the same context.
func (e examiner) used(ctx context.Context, what string, told func(*rand.Rand, Task, Persona) ([]prompt.Turn, map[string]string, bool), persona bool) (Used, error) {
	type outcome struct {
		ok                         bool
		right, known, wrong, exact int
		logprob                    float64
	}
	outcomes := make([]outcome, e.o.Samples)
	err := e.each(ctx, what, func(ctx context.Context, i int, r *rand.Rand, t Task, p Persona) error {
		turns, known, ok := told(r, t, p)
		if !ok {
			return nil
		}
		chat, err := e.prompts.Response(p.Name, t.Text, turns)
		if persona {
			chat, err = e.prompts.Positive(p.Name, p.Text, t.Text, turns)
		}
		if err != nil {
			return err
		}
		got, err := e.m.Generate(ctx, chat, lm.Sampling{MaxTokens: 100})
		if err != nil {
			return err
		}
		score, err := e.m.LogProb(ctx, chat, e.w.Gold(t, p))
		if err != nil {
			return err
		}
		o := outcome{ok: true, logprob: score.Sum}
		o.right, o.wrong = Rubric{e.w}.Points(p, t, got.Text)
		for _, id := range e.w.Relevant(t.Text) {
			if _, ok := known[id]; ok {
				o.known++
			}
		}
		if got.Text == e.w.Response(t, known) {
			o.exact = 1
		}
		outcomes[i] = o
		return nil
	})
	var u Used
	right, known, wrong, exact := 0, 0, 0, 0
	for _, o := range outcomes {
		if o.ok {
			u.N++
			right, known, wrong, exact = right+min(o.right, o.known), known+o.known, wrong+o.wrong, exact+o.exact
			u.LogProb += o.logprob
		}
	}
	u.Right, u.Wrong, u.Exact = share(right, known), share(wrong, u.N), share(exact, u.N)
	u.LogProb /= float64(max(1, u.N))
	return u, err
}

// conversation has n turns in shuffled order, of which k are relevant; ok is false when the
// task has fewer relevant attributes than k.
func (e examiner) conversation(r *rand.Rand, t Task, p Persona, k, n int) (turns []prompt.Turn, told map[string]string, ok bool) {
	var relevant, other []Attribute
	for _, a := range e.w.Attributes {
		if slices.Contains(e.w.Relevant(t.Text), a.ID) {
			relevant = append(relevant, a)
		} else {
			other = append(other, a)
		}
	}
	if len(relevant) < k || len(other) < n-k {
		return nil, nil, false
	}
	r.Shuffle(len(relevant), func(i, j int) { relevant[i], relevant[j] = relevant[j], relevant[i] })
	r.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
	asked := append(relevant[:k:k], other[:n-k]...)
	r.Shuffle(n, func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	told = map[string]string{}
	for _, a := range asked {
		told[a.ID] = p.Values[a.ID]
		turns = append(turns, prompt.Turn{Question: pick(r, a.Questions), Answer: fill(pick(r, a.Answers), p.Values[a.ID])})
	}
	return turns, told, true
}

func total(xs []int) (sum int) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Print writes the abilities as a table.
func (a Abilities) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	lines := []string{
		fmt.Sprintf("questions\twell-formed %.1f %%\trelevant %.1f %% (chance %.1f %%)\tredundant %.1f %%\tn = %d", 100*a.WellForm, 100*a.Relevant, 100*a.Chance, 100*a.Redundant, a.Questions),
		fmt.Sprintf("answers\tright value %.1f %%\tgreedy %.1f %%\t\tn = %d", 100*a.Copied, 100*a.Greedy, a.Answers),
		"", "response given\tlog p(gold)\tfacts used\twrong facts\tword for word\tn",
	}
	row := func(name string, u Used) {
		lines = append(lines, fmt.Sprintf("%s\t%.2f\t%.1f %%\t%.3f\t%.1f %%\t%d", name, u.LogProb, 100*u.Right, u.Wrong, 100*u.Exact, u.N))
	}
	row("the bare task", a.Negative)
	for k, u := range a.Known {
		row(fmt.Sprintf("%d relevant of 3 answers", k), u)
	}
	row("the persona", a.Positive)
	for _, l := range lines {
		if _, err := fmt.Fprintln(t, l); err != nil {
			return err
		}
	}
	return t.Flush()
}
