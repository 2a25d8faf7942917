package tinker

import (
	"context"
	"errors"
	"testing"

	"stargate/trainer"
	"stargate/trainer/tinker/tinkertest"
)

// purse pays up to a limit, and notes what it was asked.
type purse struct{ limit, paid, asked int }

var errEmpty = errors.New("the purse is empty")

func (p *purse) Afford(_ context.Context, tokens int) error {
	p.asked = tokens
	if p.paid+tokens > p.limit {
		return errEmpty
	}
	return nil
}

func (p *purse) Pay(_ context.Context, tokens int) error {
	if p.paid+tokens > p.limit {
		return errEmpty
	}
	p.paid += tokens
	return nil
}

// What is paid is what the server was given, also where it was restarted and steps are trained
// again; and a training that cannot be paid to its end is not begun.
func TestEveryTokenIsPaidFor(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		dialect tinkertest.Dialect
		fault   func(s *tinkertest.Server, p trainer.Progress)
		again   bool // steps are trained twice
	}{
		"plain":           {},
		"without numbers": {dialect: tinkertest.Dialect{NoNumbers: true}},
		"without forward": {dialect: tinkertest.Dialect{NoForward: true}},
		"lost answers": {fault: func(s *tinkertest.Server, p trainer.Progress) {
			s.Lose("forward_backward", 1)
			s.Lose("retrieve_future", 1)
		}},
		"a restart": {again: true, fault: func(s *tinkertest.Server, p trainer.Progress) { at(p, 5, s.Restart) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, all := w.server(t, c.dialect), w.job(t.TempDir()), &purse{limit: 1 << 30}
			j.Purse = all
			told := map[int]bool{}
			j.Observe = func(p trainer.Progress) {
				if c.fault != nil && p.Note == "" && !told[p.Step] {
					told[p.Step] = true
					c.fault(s, p)
				}
			}
			if _, err := trainerOf(t, s, nil).Train(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			if c.again { // what was sent when the server went away may not have reached it
				if all.paid < s.Tokens {
					t.Errorf("%d tokens were paid for, the server was given %d", all.paid, s.Tokens)
				}
				return
			}
			if all.paid != s.Tokens && !c.dialect.NoForward {
				t.Errorf("%d tokens were paid for, the server was given %d", all.paid, s.Tokens)
			}
			first := sent(w.set.Train[:1])
			if short := all.asked - all.paid; short < 0 || short > 2*first && !c.dialect.NoForward {
				t.Errorf("%d tokens were asked for at the beginning, %d paid", all.asked, all.paid)
			}

			s, j, all = w.server(t, c.dialect), w.job(t.TempDir()), &purse{limit: all.asked - 1}
			j.Purse = all
			if _, err := trainerOf(t, s, nil).Train(t.Context(), j); !errors.Is(err, errEmpty) || s.Tokens > 0 {
				t.Errorf("one token too few: %v, the server was given %d", err, s.Tokens)
			}
		})
	}
}
