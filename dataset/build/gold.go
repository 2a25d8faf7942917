package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// GoldInput is what gold responses are made from. Start from [PaperGold].
type GoldInput struct {
	Oracle      lm.Generator
	Prompts     *prompt.Set
	Pairs       []stargate.Pair // without their gold
	Draw        stargate.Draw   // of the first draw: greedy in the paper
	Again       stargate.Draw   // of the draws after a flaw: greedy would only repeat it
	Draws       int             // draws per pair before it is excluded
	Seed        uint64
	Concurrency int
	Ahead       Ahead            // may be nil
	Emit        func(Gold) error // takes results in the order of the pairs; an error ends the build
	Observe     func(Progress)
}

// PaperGold are the settings of the authors' code: temperature 0, top-p 0.9, 300 tokens;
// three more draws at temperature 0.7 where the first has a flaw.
func PaperGold() GoldInput {
	return GoldInput{Draw: stargate.Draw{TopP: 0.9, MaxTokens: 300}, Again: stargate.Draw{Temperature: 0.7, TopP: 0.9, MaxTokens: 300}, Draws: 4, Concurrency: 256}
}

// Gold is the outcome of one pair: a text, or why there is none.
type Gold struct {
	Task     string `json:"task"` // id
	Persona  string `json:"persona"`
	Text     string `json:"gold,omitempty"`
	Excluded Flaw   `json:"excluded,omitempty"` // the flaw of the last draw
	Flaws    []Flaw `json:"flaws,omitempty"`    // of the draws that were not taken
}

// MaxGoldSentences is what the Oracle is asked to keep to (PROTOCOL §2). More are counted,
// not refused.
const MaxGoldSentences = 10

func (in GoldInput) validate() error {
	switch {
	case in.Oracle == nil || in.Prompts == nil:
		return errors.New("gold: an oracle and prompts are needed")
	case len(in.Pairs) == 0:
		return errors.New("gold: no pairs: is there a split with both tasks and personas?")
	case in.Draws < 1:
		return fmt.Errorf("gold: %d draws per pair, want at least 1", in.Draws)
	case in.Draws > 1 && in.Again.Temperature == 0:
		return errors.New("gold: at temperature 0 a draw after a flaw repeats it; give the later draws a temperature")
	}
	return nil
}

// GoldResponses asks the Oracle for the gold response of every pair: persona and task, no
// dialogue. Results go to Emit in the order of the pairs, as soon as all before are there.
func GoldResponses(ctx context.Context, in GoldInput) (*GoldReport, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	if in.Ahead != nil {
		if err := in.askAhead(ctx); err != nil {
			return nil, err
		}
	}
	report := newGoldReport(len(in.Pairs))
	out := newOrdered(func(g Gold) error {
		report.add(g)
		if in.Emit == nil {
			return nil
		}
		return in.Emit(g)
	})
	err := each(ctx, in.Concurrency, "gold responses", len(in.Pairs), in.Observe, func(ctx context.Context, i int) error {
		g, err := in.gold(ctx, in.Pairs[i], in.Draws)
		if err != nil {
			return err
		}
		return out.put(i, g)
	})
	report.finish()
	return report, err
}

// gold draws until a draw has no flaw, at most draws times.
func (in GoldInput) gold(ctx context.Context, p stargate.Pair, draws int) (Gold, error) {
	g := Gold{Task: p.Task.ID, Persona: p.Persona.ID}
	for draw := range draws {
		ask, err := in.ask(p, draw)
		if err != nil {
			return g, err
		}
		c, err := in.Oracle.Generate(ctx, ask.Chat, ask.Sampling)
		var flaw Flaw
		switch {
		case errors.Is(err, lm.ErrRefused):
			flaw = stargate.Refused
		case errors.Is(err, lm.ErrContextLength):
			g.Flaws, g.Excluded = append(g.Flaws, stargate.TooLong), stargate.TooLong
			return g, nil // no draw will be shorter
		case err != nil:
			return g, fmt.Errorf("gold response, %s: %w", ask.Key, err)
		default:
			flaw = flawOf(c)
		}
		if flaw == "" {
			g.Text, g.Excluded = strings.TrimSpace(c.Text), ""
			return g, nil
		}
		g.Flaws, g.Excluded = append(g.Flaws, flaw), flaw
	}
	return g, nil
}

func (in GoldInput) ask(p stargate.Pair, draw int) (Ask, error) {
	chat, err := in.Prompts.Oracle(p.Persona.Name, p.Persona.Text, p.Task.Text)
	if err != nil {
		return Ask{}, err
	}
	d, seed := in.Draw, uint64(0)
	if d.Temperature > 0 {
		seed = stargate.Seed(in.Seed, "gold", p.Key(), draw)
	}
	if draw > 0 {
		d, seed = in.Again, stargate.Seed(in.Seed, "gold", p.Key(), draw)
	}
	return Ask{Key: fmt.Sprintf("pair %s, draw %d", p.Key(), draw+1), Chat: chat,
		Sampling: lm.Sampling{Temperature: d.Temperature, TopP: d.TopP, TopK: d.TopK, MaxTokens: d.MaxTokens, Seed: seed}}, nil
}

// askAhead sends the draws in waves: the first of all pairs, then the second of those whose
// first had a flaw, and so on. The Oracle then answers from what was fetched.
func (in GoldInput) askAhead(ctx context.Context) error {
	open := in.Pairs
	for draw := range in.Draws {
		asks := make([]Ask, len(open))
		for i, p := range open {
			var err error
			if asks[i], err = in.ask(p, draw); err != nil {
				return err
			}
		}
		if err := in.Ahead(ctx, asks); err != nil {
			return err
		}
		var next []stargate.Pair
		if draw+1 < in.Draws {
			for _, p := range open {
				g, err := in.gold(ctx, p, draw+1)
				if err != nil {
					return err
				}
				if g.Excluded != "" && g.Excluded != stargate.TooLong {
					next = append(next, p)
				}
			}
		}
		if open = next; len(open) == 0 {
			return nil
		}
	}
	return nil
}
