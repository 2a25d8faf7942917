package stargate

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
)

// Length is the number of turns of a pair's conversations: uniform over 1..maxTurns, and
// the same for all samples of the pair, else selection would simply prefer long ones.
func Length(run uint64, scope, pair string, maxTurns int) int {
	return 1 + int(Seed(run, "length", scope, pair)%uint64(maxTurns))
}

// Simulate draws s_ij^c for c in 0..cfg.Samples-1 (Algorithm 1, line 3). scope names the
// draw in seeds: the iteration, or the model under evaluation. A conversation whose turn
// stays malformed after cfg.Redraws is returned with the flaw as its outcome; an error is
// a failure of the models, never of what they said.
func Simulate(ctx context.Context, cfg Config, scope string, q Questioner, r Roleplayer, p Pair) ([]Conversation, error) {
	sims := make([]Conversation, cfg.Samples)
	g, ctx := errgroup.WithContext(ctx)
	for c := range sims {
		g.Go(func() error {
			var err error
			sims[c], err = Converse(ctx, cfg, scope, q, r, p, c)
			return err
		})
	}
	return sims, g.Wait()
}

// Converse draws one conversation [q1, h1, …, qk, hk].
func Converse(ctx context.Context, cfg Config, scope string, q Questioner, r Roleplayer, p Pair, sample int) (Conversation, error) {
	s := Conversation{Pair: p.Key(), Sample: sample, Outcome: Complete}
	for k := range Length(cfg.Seed, scope, p.Key(), cfg.MaxTurns) {
		question, flaw, err := s.draw(cfg, func(attempt int) (lm.Completion, error) {
			return q.Ask(ctx, p.Persona.Name, p.Task, s.Turns, Seed(cfg.Seed, "ask", scope, p.Key(), sample, k, attempt))
		}, func(c lm.Completion) Flaw { return CheckQuestion(c, p, s.Turns) })
		if err != nil || flaw != "" {
			return s.end(flaw), s.wrap(err, "question", k)
		}
		answer, flaw, err := s.draw(cfg, func(attempt int) (lm.Completion, error) {
			return r.Answer(ctx, p.Persona, p.Task, s.Turns, question, Seed(cfg.Seed, "answer", scope, p.Key(), sample, k, attempt))
		}, func(c lm.Completion) Flaw { return CheckAnswer(c, p) })
		if err != nil || flaw != "" {
			return s.end(flaw), s.wrap(err, "answer", k)
		}
		s.Turns = append(s.Turns, Turn{question, answer})
	}
	return s, nil
}

// draw takes the first well-formed turn of 1+cfg.Redraws. Flaws of the model's text are
// outcomes; what the caller cannot cure by drawing again ends the conversation at once.
func (s *Conversation) draw(cfg Config, next func(attempt int) (lm.Completion, error), check func(lm.Completion) Flaw) (string, Flaw, error) {
	var flaw Flaw
	for attempt := range 1 + cfg.Redraws {
		c, err := next(attempt)
		switch {
		case errors.Is(err, lm.ErrContextLength):
			return "", TooLong, nil
		case errors.Is(err, lm.ErrRefused):
			flaw = Refused
		case err != nil:
			return "", "", err
		default:
			if flaw = check(c); flaw == "" {
				return trim(c.Text), "", nil
			}
		}
		if attempt < cfg.Redraws {
			s.Redrawn = append(s.Redrawn, flaw)
		}
	}
	return "", flaw, nil
}

func (s Conversation) end(f Flaw) Conversation {
	if f != "" {
		s.Outcome = Outcome(f)
	}
	return s
}

func (s Conversation) wrap(err error, what string, turn int) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pair %s, conversation %d, %s %d: %w", s.Pair, s.Sample, what, turn+1, err)
}
