package cluster

import (
	"fmt"
	"strings"

	"stargate/runner"
)

// Role is a kind of work that a worker can do.
type Role string

// The roles, by what they must reach.
const (
	RoleFlow     Role = "flow"     // workflows: nothing but Temporal
	RoleConverse Role = "converse" // Questioner, Roleplayer and scorer
	RoleEvaluate Role = "evaluate" // these, the Roleplayers of the evaluation, and the judges
	RoleTrain    Role = "train"    // the trainer
	RoleReport   Role = "report"   // all models; reads the whole ledger
)

// Roles are all roles.
func Roles() []Role { return []Role{RoleFlow, RoleConverse, RoleEvaluate, RoleTrain, RoleReport} }

// ParseRoles reads role names; none means all.
func ParseRoles(names []string) ([]Role, error) {
	if len(names) == 0 {
		return Roles(), nil
	}
	var out []Role
	for _, n := range names {
		known := false
		for _, r := range Roles() {
			known = known || string(r) == n
		}
		if !known {
			return nil, fmt.Errorf("role %q is not one of %v", n, Roles())
		}
		out = append(out, Role(n))
	}
	return out, nil
}

// Queues are a run's task queues. Workflows have one in a pool; activities have theirs by
// role and base model, since a worker that reaches another base model cannot do them.
type Queues struct {
	Pool string `json:"pool"` // "stargate"
	Base string `json:"base"` // digest of the base model
}

// Flow is the queue of workflows.
func (q Queues) Flow() string { return q.Pool + "/" + string(RoleFlow) }

// Of is the queue of a role's activities.
func (q Queues) Of(r Role) string {
	if r == RoleFlow {
		return q.Flow()
	}
	return fmt.Sprintf("%s/%s/%.12s", q.Pool, r, q.Base)
}

// At is the queue of a role's activities that need one policy: a worker polls it only if it
// was told that it has this checkpoint.
func (q Queues) At(r Role, p runner.Policy) string { return q.Of(r) + "@" + Checkpoint(p) }

// Checkpoint is the name of a policy in queues, "m1-0123456789ab": another fine-tune of the
// same name has another one.
func Checkpoint(p runner.Policy) string {
	return strings.TrimSuffix(fmt.Sprintf("%s-%.12s", p.Name, p.Digest), "-")
}

// DefaultPool is the pool of runs and workers that name none.
const DefaultPool = "stargate"
