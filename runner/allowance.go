package runner

import (
	"context"
	"errors"
	"time"

	"stargate/ledger"
	"stargate/lm/remote"
	"stargate/plan"
)

// shareBudget has the processes that do a run together, or may, spend its limits together: their
// ledger keeps what each may spend. A limit that is set here counts for all of them from now
// on; one that is not stays what an earlier session set.
func (s *session) shareBudget(ctx context.Context, o Options) error {
	if s.storage.Ledger == "" { // a file is this process' own
		return nil
	}
	if l := o.limits(s.experiment); !o.joined && l != (remote.Limits{}) {
		most, err := s.ledger.Limits(ctx)
		if err != nil {
			return err
		}
		if l.Cost > 0 {
			most.Cost = l.Cost
		}
		if l.Tokens > 0 {
			most.Tokens = l.Tokens
		}
		if err := s.ledger.Limit(ctx, most); err != nil {
			return err
		}
	}
	s.budget.Share(commonPurse{s})
	return nil
}

// commonPurse is the budget of all processes of a run: a [remote.Pool] that their ledger keeps.
type commonPurse struct{ session *session }

// Draw implements [remote.Pool].
func (p commonPurse) Draw(ctx context.Context, d remote.Draw) (remote.Drawn, error) {
	out, several, err := p.session.ledger.Allow(ctx, ledger.Asking{
		Spent: ledger.Amount(d.Spent), Held: ledger.Amount(d.Held), Need: ledger.Amount(d.Need), Want: ledger.Amount(d.Want), Before: p.session.recorded,
	})
	if err == nil && !several {
		err = errors.New("the ledger cannot be shared")
	}
	return remote.Drawn{Granted: remote.Amount(out.Granted), Fits: out.Fits, Never: out.Never, Spent: remote.Amount(out.Spent), Limits: remote.Limits{Tokens: out.Limit.Tokens, Cost: out.Limit.Cost}}, err
}

// recorded is what all that the ledger holds has cost, at today's prices.
func (s *session) recorded(ctx context.Context) (sum ledger.Amount, err error) {
	prices := s.prices()
	add := func(role string, spent remote.Spend) {
		if price, ok := prices[role]; ok {
			sum.Tokens += spent.TokensIn + spent.TokensOut
			sum.Cost += price.Cost(spent.TokensIn, spent.TokensOut)
		}
	}
	return sum, errors.Join(s.eachSpent(ctx, add), s.eachWage(ctx, func(spent remote.Spend) { add(plan.Trainer, spent) }))
}

// returnTime is how long a process that ends tries to give back what it did not spend. Else
// that counts as spent until all have ended.
const returnTime = 10 * time.Second

// giveBack gives back what the process was granted and has not spent.
func (s *session) giveBack(ctx context.Context) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), returnTime)
	defer stop()
	return s.budget.Return(ctx)
}
