package runner

import (
	"fmt"

	"stargate"
	"stargate/dataset"
	"stargate/eval/judge"
	"stargate/experiment"
	"stargate/lm/remote"
)

// Experiment is what an experiment file says, resolved.
type Experiment struct {
	experiment.Header `yaml:",inline"`

	Prompts    string          `yaml:"prompts" json:"prompts"`          // embedded prompt set
	World      string          `yaml:"world" json:"world,omitempty"`    // "nano": tasks, personas and golds of the built-in world
	Data       dataset.Sizes   `yaml:"data" json:"data"`                // sizes of the splits
	Roles      Roles           `yaml:"roles" json:"roles,omitzero"`     // who plays what
	Algorithm  stargate.Config `yaml:"algorithm" json:"algorithm"`      // Algorithm 1
	Trainer    TrainerSpec     `yaml:"trainer" json:"trainer,omitzero"` // who fine-tunes
	Evaluation Evaluation      `yaml:"evaluation" json:"evaluation"`
	Budget     remote.Limits   `yaml:"budget" json:"-"`  // of money and tokens; changes no result
	Storage    Storage         `yaml:"storage" json:"-"` // where several machines find the run; changes no result
}

// Evaluation are the choices of section 5.
type Evaluation struct {
	WinPairs      int      `yaml:"win_pairs" json:"win_pairs"`               // pairs of the test split compared by the judge
	ResponseModel string   `yaml:"response_model" json:"response_model"`     // "policy", or "base": Q_BASE answers on Q_η's conversations
	Roleplayer    []Player `yaml:"roleplayer" json:"roleplayer,omitempty"`   // else those of the training
	Orders        string   `yaml:"orders" json:"orders,omitempty"`           // of two responses before a judge: "both" (a change of mind is a tie), or "authors" (compat: one, by coin flip; ties left out)
	Credit        bool     `yaml:"credit" json:"credit,omitempty"`           // score the gold after every turn: what each question was worth
	RateTasks     bool     `yaml:"rate_tasks" json:"rate_tasks,omitempty"`   // the judge's model rates how specific tasks are
	WhenToAsk     bool     `yaml:"when_to_ask" json:"when_to_ask,omitempty"` // let the models ask or answer as they like, also on tasks that need no question; in a world whose truth is known
}

// LoadExperiment resolves an experiment by name or path, with ablations after "+".
func LoadExperiment(name string) (Experiment, error) {
	e := Experiment{Algorithm: stargate.Paper()}
	full, err := experiment.Load(name, &e)
	if err != nil {
		return e, err
	}
	e.Name = full
	if err := e.Algorithm.Validate(); err != nil {
		return e, fmt.Errorf("experiment %s: %w", full, err)
	}
	if err := e.Trainer.validate(e.Algorithm.Tune); err != nil {
		return e, fmt.Errorf("experiment %s: %w", full, err)
	}
	switch {
	case !(e.Budget.Cost >= 0) || e.Budget.Tokens < 0:
		return e, fmt.Errorf("experiment %s: budget: max_cost is %g and max_tokens %d; leave one out for no limit", full, e.Budget.Cost, e.Budget.Tokens)
	case e.Evaluation.WinPairs < 1:
		return e, fmt.Errorf("experiment %s: evaluation: win_pairs is %d, want at least 1", full, e.Evaluation.WinPairs)
	case e.Evaluation.ResponseModel != "policy" && e.Evaluation.ResponseModel != "base":
		return e, fmt.Errorf("experiment %s: evaluation: response_model is %q, want \"policy\" or \"base\"", full, e.Evaluation.ResponseModel)
	case e.Evaluation.Orders != "" && e.Evaluation.Orders != string(judge.Both) && e.Evaluation.Orders != string(judge.CoinFlip):
		return e, fmt.Errorf("experiment %s: evaluation: orders is %q, want %q or %q", full, e.Evaluation.Orders, judge.Both, judge.CoinFlip)
	case e.World != "" && e.World != "nano":
		return e, fmt.Errorf("experiment %s: world %q is not built in; give your own with --world FILE", full, e.World)
	}
	return e, nil
}
