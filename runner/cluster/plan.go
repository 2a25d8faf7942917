package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"time"

	"stargate/runner"
)

// Plan is what the workflows know of a run: sizes and names, nothing of its content.
type Plan struct {
	Run        string        `json:"run"`      // its name: the end of the workflow's ID, and the ledger's schema
	Identity   string        `json:"identity"` // the manifest's; a worker that opens something else refuses
	Iterations int           `json:"iterations"`
	A          int           `json:"a"` // pairs of the splits
	B          int           `json:"b"`
	Test       int           `json:"test"`
	Layout     Layout        `json:"layout"`
	Queues     Queues        `json:"queues"`
	Patience   time.Duration `json:"patience,omitempty"`   // a worker that is silent for so long has lost its shard, for four times as long its step; 0: 45 s
	Checkpoint bool          `json:"checkpoint,omitempty"` // conversations go to workers that said they have the asking policy
	Attributes bool          `json:"attributes,omitempty"` // search attributes are registered and are set
}

// Layout is how a stage is cut. It changes no result.
type Layout struct {
	Shard    int `json:"shard"`    // pairs in a shard
	Window   int `json:"window"`   // shards of a stage that are under way at most
	Group    int `json:"group"`    // shards of one workflow at most; more make children
	Children int `json:"children"` // children of a stage under way at most
}

// Most that Temporal's limits bear well: a workflow's history has three events a shard.
const (
	mostGroup  = 500
	mostWindow = 2000 // pending activities of a workflow
)

// DefaultLayout cuts a stage of so many pairs into at least 48 shards, if it has as many
// pairs, of at most 100 pairs.
func DefaultLayout(pairs int) Layout {
	return Layout{Shard: min(max(pairs/48, 1), 100), Window: 256, Group: mostGroup, Children: 4}
}

var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)

// Validate says what is wrong with a plan, in words that name the field.
func (p Plan) Validate() error {
	if !runName.MatchString(p.Run) {
		return fmt.Errorf("run %q: a name has 1 to 100 letters, digits, '.', '_', '+' or '-' and begins with a letter or digit", p.Run)
	}
	for _, f := range []struct {
		name    string
		n, most int
	}{
		{"iterations", p.Iterations, 1000}, {"pairs of split A", p.A, 1 << 40}, {"pairs of the test split", p.Test, 1 << 40},
		{"shard", p.Layout.Shard, 1 << 20}, {"window", p.Layout.Window, mostWindow}, {"group", p.Layout.Group, mostGroup}, {"children", p.Layout.Children, 100},
	} {
		if f.n < 1 || f.n > f.most {
			return fmt.Errorf("run %s: %s is %d, want 1 to %d", p.Run, f.name, f.n, f.most)
		}
	}
	if p.Patience != 0 && p.Patience < 2*beatEvery {
		return fmt.Errorf("run %s: patience is %s, want %s or more: workers tell every %s that they live", p.Run, p.Patience, 2*beatEvery, beatEvery)
	}
	if p.Identity == "" {
		return errors.New("a plan names the manifest's identity")
	}
	return nil
}

// patience is how long a shard's worker may be silent.
func (p Plan) patience() time.Duration { return cmp.Or(p.Patience, shardHeartbeat) }

// pairs is the size of iteration n's split.
func (p Plan) pairs(n int) int {
	if n%2 == 1 {
		return p.A
	}
	return p.B
}

// Shard is one activity's work: pairs From..To-1 of a split.
type Shard struct {
	Run       string          `json:"run"`
	Identity  string          `json:"identity"`
	Kind      Kind            `json:"kind"`
	Iteration int             `json:"iteration,omitempty"`
	Policies  []runner.Policy `json:"policies"` // the one that asks; in an evaluation all
	From      int             `json:"from"`
	To        int             `json:"to"`
}

// Step is one long activity.
type Step struct {
	Run       string        `json:"run"`
	Identity  string        `json:"identity"`
	Iteration int           `json:"iteration,omitempty"`
	Policy    runner.Policy `json:"policy"`          // that asked in this iteration
	Chosen    runner.Tally  `json:"chosen,omitzero"` // what its shards came to
}

// Kind is what a stage does.
type Kind string

// The kinds of stages.
const (
	Converse Kind = "converse" // lines 3 to 5 of an iteration
	Evaluate Kind = "evaluate" // the calls of the evaluation
)
