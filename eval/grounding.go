package eval

import (
	"stargate"
	"stargate/eval/stats"
)

// Fact is a value of an attribute that a text states.
type Fact struct{ Attribute, Value string }

// Stated is what a [Truth] may also know: the facts that a text states.
type Stated interface {
	States(text string) []Fact
}

// Grounding says where the facts of a model's judged responses come from, in a world whose
// truth is known. The paper (§6) sees a model that was trained on golds hallucinate: it
// states what a gold would, though nobody told it. Facts are counted once a response; one
// that was told is stated, with the same value, by the task or by an answer of the
// conversation that the response is to.
type Grounding struct {
	Model    string  `json:"model"`
	Told     float64 `json:"told"`     // facts a response that were told
	Invented float64 `json:"invented"` // facts a response that were not
	SEM      float64 `json:"sem"`      // of invented, clustered by task and persona
	Low      float64 `json:"low"`      // 95 % interval of invented, clustered
	High     float64 `json:"high"`
	N        int     `json:"n"` // responses
}

// grounding counts told and invented facts of the judged responses, those of m0 included.
func (e *Evaluation) grounding(in Input) {
	states, ok := in.Truth.(Stated)
	if !ok {
		return
	}
	for m, model := range in.Models {
		told := 0
		var obs []stats.Observation
		for _, c := range e.compared {
			s, ok := e.judgedConversation(in, m, c.pair)
			if !ok || c.responses[m] == "" {
				continue
			}
			p := in.Test.Pairs[c.pair]
			known, invented := factsOf(states, p.Task, s.Turns, c.responses[m])
			told += known
			obs = append(obs, stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID, Value: float64(invented)})
		}
		if len(obs) == 0 {
			continue
		}
		est := stats.Mean(obs)
		g := Grounding{Model: model.Name, Told: float64(told) / float64(est.N), Invented: est.Mean, SEM: est.SEM, N: est.N}
		g.Low, g.High = est.Interval()
		g.Low = max(g.Low, 0) // a count
		e.Result.Grounding = append(e.Result.Grounding, g)
	}
}

// factsOf counts the facts of a response: those that the user had told, and the others.
func factsOf(states Stated, t stargate.Task, turns []stargate.Turn, response string) (told, invented int) {
	known := map[Fact]bool{}
	note := func(text string) {
		for _, f := range states.States(text) {
			known[f] = true
		}
	}
	note(t.Text)
	for _, turn := range turns {
		note(turn.Answer)
	}
	counted := map[Fact]bool{}
	for _, f := range states.States(response) {
		switch {
		case counted[f]:
			continue
		case known[f]:
			told++
		default:
			invented++
		}
		counted[f] = true
	}
	return told, invented
}
