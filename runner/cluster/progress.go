package cluster

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"stargate/runner"
)

// queryProgress asks a run or a stage how far it is.
const queryProgress = "progress"

// RunProgress is a run's answer.
type RunProgress struct {
	Plan   Plan       `json:"plan"`
	Done   []Finished `json:"done"`
	Now    string     `json:"now"`             // what is under way
	Stage  string     `json:"stage,omitempty"` // the workflow that does it
	Paused bool       `json:"paused"`
}

// StageProgress is a stage's answer, in pairs. What is under way in its children and shards
// is not in it.
type StageProgress struct {
	Name     string       `json:"name"`
	Finished runner.Tally `json:"finished"`
	Total    int          `json:"total"`
	Children []string     `json:"children,omitempty"` // workflows under way
}

func (f *flow) progress() RunProgress {
	return RunProgress{Plan: f.plan, Done: f.done, Now: f.now, Stage: f.stage, Paused: f.gate.paused}
}

func (s *stage) progress() StageProgress {
	return StageProgress{Name: s.in.name(), Finished: s.finished, Total: s.in.Done.Pairs + s.in.To - s.in.From, Children: workflow.DeterministicKeys(s.gate.children)}
}

// The memo of a workflow. It needs no registration, unlike search attributes.
const (
	memoRun   = "run"
	memoStage = "stage"
	memoPairs = "pairs"
)

// searchable are the search attributes of a workflow that begins: all that it will ever have, so
// that a namespace that lacks one says so at once.
func (p Plan) searchable(stage string) temporal.SearchAttributes {
	if !p.Attributes {
		return temporal.NewSearchAttributes()
	}
	return temporal.NewSearchAttributes(attributeRun.ValueSet(p.Run), attributeStage.ValueSet(stage), attributePairs.ValueSet(0))
}

// show tells the web page what is under way.
func (f *flow) show() {
	workflow.SetCurrentDetails(f.ctx, fmt.Sprintf("%s, %d of %d steps finished", f.now, len(f.done), 2*f.plan.Iterations+2))
	f.plan.note(f.ctx, f.now, -1, 0)
}

// show tells the web page how many pairs are finished. The memo is a part of the history, so
// that it is written 20 times at most.
func (s *stage) show(ctx workflow.Context) {
	p := s.progress()
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s: %d of %d pairs", p.Name, p.Finished.Pairs, p.Total))
	if now := p.Finished.Pairs * 20 / max(p.Total, 1); now != s.shown || p.Finished.Pairs == 0 {
		s.shown = now
		s.in.Plan.note(ctx, p.Name, p.Finished.Pairs, p.Total)
	}
}

// note writes the memo and the search attributes; without a number of pairs if done is -1.
func (p Plan) note(ctx workflow.Context, stage string, done, total int) {
	memo, attributes := map[string]any{memoStage: stage}, []temporal.SearchAttributeUpdate{attributeStage.ValueSet(stage)}
	if done >= 0 {
		memo[memoPairs] = fmt.Sprintf("%d of %d", done, total)
		attributes = append(attributes, attributePairs.ValueSet(int64(done)))
	}
	// Both only fail on values that cannot be encoded.
	if err := workflow.UpsertMemo(ctx, memo); err != nil {
		workflow.GetLogger(ctx).Warn("memo", "error", err)
	}
	if !p.Attributes {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attributes...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes", "error", err)
	}
}
