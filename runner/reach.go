package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stargate/lm"
)

// Duty is a kind of work that a process does for a run.
type Duty string

// The duties, by what each asks of models. The base model plays in all of them.
const (
	DutyConverse Duty = "converse" // the Questioner, the scorer and the Roleplayers
	DutyEvaluate Duty = "evaluate" // the Questioner, the scorer, the evaluation's Roleplayers and the judges
	DutyTrain    Duty = "train"    // the trainer
	DutyReport   Duty = "report"   // whatever the ledger lacks
)

// Names of roles in a manifest: the keys of [cast.digests].
const (
	scorerRole     = "scorer"
	roleplayerRole = "roleplayer"
	evaluatorRole  = "evaluation roleplayer"
	judgeRole      = "judge"
	anyRole        = ""
)

// asks are the roles in a manifest that a duty asks, besides the base model.
var asks = map[Duty][]string{
	DutyConverse: {scorerRole, roleplayerRole},
	DutyEvaluate: {scorerRole, roleplayerRole, evaluatorRole, judgeRole}, // the Roleplayers of the training, where the evaluation has none of its own
	DutyTrain:    {},
	DutyReport:   {anyRole},
}

// ErrUnreached: a model is asked that this process was not to reach.
var ErrUnreached = errors.New("this worker does not reach the model")

// reach is which models a process of a run opens. The others are known by their digests alone.
type reach struct {
	known map[string][]string // digests of the roles that have models of their own, from the run's manifest; nil: all are opened
	asked []string            // those that are opened
}

// reachOf is what duties need of the run that m describes; none are all.
func reachOf(duties []Duty, m Manifest) reach {
	var r reach
	for _, d := range duties {
		r.asked = append(r.asked, asks[d]...)
	}
	if len(duties) > 0 && !slices.Contains(r.asked, anyRole) {
		r.known = m.Roles
	}
	return r
}

// leaves gives the digests of the players of a role that is not opened; ok is false for one
// that is.
func (r reach) leaves(role string, players int) (digests []string, ok bool) {
	digests = r.known[role]
	return digests, len(digests) == players && players > 0 && !slices.Contains(r.asked, role)
}

// unreached plays a role that is not opened: all that it said before is in the ledger.
type unreached struct{ role string }

func (u unreached) err() error {
	return fmt.Errorf("%w of the role %s; give the worker the role (--roles) that asks it", ErrUnreached, u.role)
}

// Generate implements [lm.Generator].
func (u unreached) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{}, u.err()
}

// LogProb implements [lm.Scorer].
func (u unreached) LogProb(context.Context, lm.Chat, string) (lm.LogProb, error) {
	return lm.LogProb{}, u.err()
}
