package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"stargate"
	"stargate/dataset"
	"stargate/lm"
	"stargate/prompt"
)

// Persona is a persona with its split.
type Persona struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Text  string `json:"persona"`
	Split string `json:"split,omitempty"`
}

// PersonaInput is what personas are made from. Start from [PaperPersonas].
type PersonaInput struct {
	Model       lm.Generator
	Prompts     *prompt.Set
	Seeds       []string // profiles of the user's: the manner and depth to follow
	Shots       int      // seeds shown per draw
	A, B, Test  int      // personas per split
	Draws       int      // draws per slot before it stays open
	Draw        stargate.Draw
	Seed        uint64
	Concurrency int
	Checks      PersonaChecks
	Screen      lm.Generator // asked to greet each persona, so that its refusals show now and not at the golds; nil = off
	Ahead       Ahead        // may be nil
	Observe     func(Progress)
}

// PersonaChecks are the limits of a good persona.
type PersonaChecks struct {
	MinSentences int
	MaxSentences int     // PROTOCOL §2: under about ten
	Near         float64 // similarity from which two personas are one
}

// PaperPersonas are the settings of the authors' code: 2 of the seeds shown, temperature
// 1.4, top-p 0.9, 400 tokens, splits of 50, 50 and 10.
func PaperPersonas() PersonaInput {
	return PersonaInput{Shots: 2, A: 50, B: 50, Test: 10, Draws: 6,
		Draw:   stargate.Draw{Temperature: 1.4, TopP: 0.9, MaxTokens: 400},
		Checks: PersonaChecks{MinSentences: 3, MaxSentences: 12, Near: 0.5}, Concurrency: 16}
}

func (in PersonaInput) validate() error {
	switch {
	case in.Model == nil || in.Prompts == nil:
		return errors.New("personas: a model and prompts are needed")
	case len(in.Seeds) == 0:
		return errors.New("personas: no seed profiles: give some descriptions of people in the manner you want")
	case in.Shots < 1 || in.Shots > len(in.Seeds):
		return fmt.Errorf("personas: %d of %d seed profiles cannot be shown at a time", in.Shots, len(in.Seeds))
	case in.A < 0 || in.B < 0 || in.Test < 0 || in.A+in.B+in.Test == 0:
		return fmt.Errorf("personas: splits of %d, %d and %d: want at least one persona", in.A, in.B, in.Test)
	case in.Draws < 1:
		return fmt.Errorf("personas: %d draws per persona, want at least 1", in.Draws)
	case in.Draw.Temperature == 0 && in.Draws > 1:
		return errors.New("personas: at temperature 0 every draw of a slot with the same seeds is the same; want more than 0")
	}
	return nil
}

// slot is a place for a persona and what was drawn for it.
type slot struct {
	Persona
	asks  []Ask
	flaws []Flaw
	done  bool
}

// Personas fills the slots of all splits. Slots are drawn in waves: each wave draws once
// for every open slot, then looks at the draws in the slots' order, so that which of two
// like personas is kept depends on nothing but their slots. Slots that stay open are in
// the report; then the personas are fewer than asked for.
func Personas(ctx context.Context, in PersonaInput) ([]Persona, *PersonaReport, error) {
	if err := in.validate(); err != nil {
		return nil, nil, err
	}
	slots := in.slots()
	taken := newTaken(in.Seeds, in.Checks.Near)
	for draw := range in.Draws {
		var open []*slot
		for _, s := range slots {
			if !s.done {
				open = append(open, s)
			}
		}
		if len(open) == 0 {
			break
		}
		drawn, err := in.wave(ctx, open, draw)
		if err != nil {
			return nil, nil, err
		}
		for i, s := range open {
			flaw := drawn[i].flaw
			if flaw == "" {
				flaw = taken.accept(drawn[i].Name, drawn[i].Text)
			}
			if flaw != "" {
				s.flaws = append(s.flaws, flaw)
				continue
			}
			s.Name, s.Text, s.done = drawn[i].Name, drawn[i].Text, true
		}
	}
	var out []Persona
	for _, s := range slots {
		if s.done {
			out = append(out, s.Persona)
		}
	}
	return out, personaReport(slots, out), nil
}

func (in PersonaInput) slots() []*slot {
	var slots []*slot
	for i, n := range []int{in.A, in.B, in.Test} {
		for k := range n {
			split := dataset.SplitNames()[i]
			slots = append(slots, &slot{Persona: Persona{ID: fmt.Sprintf("%s-persona-%d", split, k), Split: split}})
		}
	}
	return slots
}

// sketch is a draw with what is wrong with it, if anything.
type sketch struct {
	Name, Text string
	flaw       Flaw
}

// wave draws once for each open slot.
func (in PersonaInput) wave(ctx context.Context, open []*slot, draw int) ([]sketch, error) {
	asks := make([]Ask, len(open))
	for i, s := range open {
		var err error
		if asks[i], err = in.ask(s, draw); err != nil {
			return nil, err
		}
	}
	if in.Ahead != nil {
		if err := in.Ahead(ctx, asks); err != nil {
			return nil, err
		}
	}
	stage := fmt.Sprintf("personas, draw %d", draw+1)
	out := make([]sketch, len(open))
	err := each(ctx, in.Concurrency, stage, len(open), in.Observe, func(ctx context.Context, i int) error {
		c, err := in.Model.Generate(ctx, asks[i].Chat, asks[i].Sampling)
		switch {
		case errors.Is(err, lm.ErrRefused):
			out[i].flaw = stargate.Refused
		case err != nil:
			return fmt.Errorf("%s: %w", asks[i].Key, err)
		default:
			out[i].Name, out[i].Text, out[i].flaw = in.Checks.read(c)
		}
		return nil
	})
	if err != nil || in.Screen == nil {
		return out, err
	}
	return out, in.screen(ctx, open, out, draw)
}

// ask is the request of a draw. Which seeds are shown is drawn too. A slot whose last draw
// had a name that was taken asks for a name with another initial.
func (in PersonaInput) ask(s *slot, draw int) (Ask, error) {
	order := make([]int, len(in.Seeds))
	rank := make([]uint64, len(in.Seeds))
	for i := range order {
		order[i], rank[i] = i, stargate.Seed(in.Seed, "persona seeds", s.ID, draw, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		if rank[a] < rank[b] {
			return -1
		}
		return 1
	})
	shown := make([]string, in.Shots)
	for k := range shown {
		shown[k] = in.Seeds[order[k]]
	}
	initial := ""
	if n := len(s.flaws); n > 0 && s.flaws[n-1] == NameTaken {
		const letters = "ABCDEFGHIJKLMNOPRSTVWYZ" // first letters of common names
		initial = string(letters[stargate.Seed(in.Seed, "persona initial", s.ID, draw)%uint64(len(letters))])
	}
	chat, err := in.Prompts.Persona(shown, initial)
	if err != nil {
		return Ask{}, err
	}
	return Ask{Key: fmt.Sprintf("%s, draw %d", s.ID, draw+1), Chat: chat, Sampling: lm.Sampling{
		Temperature: in.Draw.Temperature, TopP: in.Draw.TopP, TopK: in.Draw.TopK, MaxTokens: in.Draw.MaxTokens,
		Seed: stargate.Seed(in.Seed, "persona", s.ID, draw),
	}}, nil
}

// greeting is what the screen is asked on behalf of a persona.
const greeting = "Say hello to me in one short sentence."

// screen asks the oracle about every draw that is good so far, and gives those it refuses
// the flaw Screened.
func (in PersonaInput) screen(ctx context.Context, open []*slot, out []sketch, draw int) error {
	var asks []Ask
	var of []int
	for i, s := range out {
		if s.flaw != "" {
			continue
		}
		chat, err := in.Prompts.Oracle(s.Name, s.Text, greeting)
		if err != nil {
			return err
		}
		asks = append(asks, Ask{Key: fmt.Sprintf("%s, draw %d, screen", open[i].ID, draw+1), Chat: chat, Sampling: lm.Sampling{MaxTokens: 60}})
		of = append(of, i)
	}
	if in.Ahead != nil && len(asks) > 0 {
		if err := in.Ahead(ctx, asks); err != nil {
			return err
		}
	}
	stage := fmt.Sprintf("personas, draw %d, screen", draw+1)
	return each(ctx, in.Concurrency, stage, len(asks), in.Observe, func(ctx context.Context, k int) error {
		c, err := in.Screen.Generate(ctx, asks[k].Chat, asks[k].Sampling)
		if errors.Is(err, lm.ErrRefused) || err == nil && flawOf(c) == stargate.Refused {
			out[of[k]].flaw = Screened
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", asks[k].Key, err)
		}
		return nil
	})
}

// each runs do for 0..n-1, at most concurrency at a time, and tells how far it is.
func each(ctx context.Context, concurrency int, stage string, n int, observe func(Progress), do func(context.Context, int) error) error {
	if observe == nil {
		observe = func(Progress) {}
	}
	observe(Progress{stage, 0, n})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, concurrency))
	done := counter{}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := do(ctx, i); err != nil {
				return err
			}
			done.next(func(k int) { observe(Progress{stage, k, n}) })
			return nil
		})
	}
	return g.Wait()
}
