package runner

import (
	"errors"
	"fmt"
	"strings"

	"stargate"
	"stargate/eval"
	"stargate/eval/judge"
	"stargate/lm"
)

// measures says who judges an evaluation, and what it measures beyond the paper.
func (s *session) measures(in *eval.Input) error {
	panel := s.panel()
	in.Judge, in.JudgeName, in.JudgeSelf = panel[0].Judge, panel[0].Name, panel[0].Self
	in.Panel, in.Majority = panel[1:], len(panel) > 1
	in.Orders = judge.Orders(s.experiment.Evaluation.Orders)
	in.Credit, in.WhenToAsk = s.experiment.Evaluation.Credit, s.experiment.Evaluation.WhenToAsk
	if in.WhenToAsk && s.data.world == nil {
		return errors.New("evaluation: when_to_ask needs a world whose truth is known; on your own data see stargate clarify")
	}
	if !s.experiment.Evaluation.RateTasks {
		return nil
	}
	if s.data.world != nil && len(s.experiment.Roles.Judge) == 0 {
		return errors.New("evaluation: rate_tasks needs a model that rates, and the built-in world's judge is a rubric; name one under roles: judge")
	}
	at := s.cast.judges[0]
	in.Rater = eval.ModelRater{Model: s.ledger.Generator(s.role("rater"), at.digest, at.model), Sampling: s.judging()}
	return nil
}

// panel is who the experiment names, a majority deciding where there are several; else the
// world's rubric, or without one the base model, which is m0.
func (s *session) panel() judge.Panel {
	if s.data.world != nil && len(s.experiment.Roles.Judge) == 0 {
		return judge.Panel{{Name: "rubric", Judge: judge.RubricJudge{Rubric: s.data.world}}}
	}
	var panel judge.Panel
	used := map[string]bool{}
	for i, at := range s.cast.judges {
		name := at.name(i)
		if used[name] {
			name = fmt.Sprintf("%s %d", name, i+1)
		}
		used[name] = true
		self := ""
		for model, digest := range s.models.digests {
			if digest == at.digest {
				self = model
			}
		}
		model := s.ledger.Generator(s.role(at.role), at.digest, at.model)
		panel = append(panel, judge.Named{Name: name, Self: self, Judge: judge.ModelJudge{Model: model, Prompts: s.prompts, Sampling: s.judging()}})
	}
	return panel
}

// judging is how a judge samples: greedily, with room for its reasons.
func (s *session) judging() lm.Sampling {
	return lm.Sampling{MaxTokens: s.config.Response.MaxTokens}
}

var (
	_ eval.Stated = (*knowledge)(nil)
	_ eval.Teller = (*knowledge)(nil)
)

// States implements [eval.Stated].
func (k *knowledge) States(text string) []eval.Fact {
	var facts []eval.Fact
	for _, f := range k.world.Facts(text) {
		facts = append(facts, eval.Fact(f))
	}
	return facts
}

// Tell implements [eval.Teller]: the answers to all relevant questions, without the
// questions.
func (k *knowledge) Tell(p stargate.Pair) string {
	values := k.personas[p.Persona.ID].Values
	var told []string
	for _, id := range k.Relevant(p.Task) {
		for _, a := range k.world.Attributes {
			if a.ID == id {
				told = append(told, strings.ReplaceAll(a.Answers[0], "{value}", values[id]))
			}
		}
	}
	return strings.Join(told, " ")
}
