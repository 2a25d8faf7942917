package plan

import (
	"fmt"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// Counter counts tokens: of a whole prompt, and of a text in it or drawn.
type Counter struct {
	Chat func(lm.Chat) int
	Text func(string) int
	Name string // "the model's tokenizer", "4 characters a token": stands in the forecast
}

// Ratio counts by characters, where there is no tokenizer: per token so many, and a few
// tokens per message for the template.
func Ratio(characters float64) Counter {
	text := func(s string) int { return int(float64(len(s))/characters + 0.5) }
	return Counter{Name: fmt.Sprintf("%.3g characters a token", characters), Text: text, Chat: func(c lm.Chat) int {
		n := 0
		for _, m := range c {
			n += text(m.Content) + templateTokens
		}
		return n
	}}
}

// templateTokens is what chat templates put around a message, about.
const templateTokens = 5

// Shape is how long conversations are, in tokens. Index t is a turn from 0; index k a
// length from 0, the first entry standing for one turn.
type Shape struct {
	Question   []Drawn   `json:"question"`   // by turn
	Answer     []Drawn   `json:"answer"`     // by turn
	Response   []Drawn   `json:"response"`   // by length
	Knowing    []float64 `json:"knowing"`    // by length: what a conversation adds to the positive control
	Judge      float64   `json:"judge"`      // tokens of a verdict with its reasons
	Complete   float64   `json:"complete"`   // share of conversations that are not dropped
	Distinct   float64   `json:"distinct"`   // share of a pair's conversations that differ: a score of the same is made once
	Calibrated bool      `json:"calibrated"` // In and Out of roles are those of the models' own counts
	In         Factors   `json:"in"`         // real tokens of prompts per counted one, by role
	Out        Factors   `json:"out"`        // and of what is drawn
	Source     string    `json:"source"`     // what the numbers rest on, for people
	Seconds    Seconds   `json:"seconds"`    // zero: no pilot
	Pairs      int       `json:"pairs"`      // of the pilot
}

// Factors are by role; a role that is not there has 1.
type Factors map[string]float64

func (f Factors) of(role string) float64 {
	if v, ok := f[role]; ok && v > 0 {
		return v
	}
	return 1
}

// Drawn is one call's text.
type Drawn struct {
	Added float64 `json:"added"` // tokens of the prompt beyond that without any turn
	Out   float64 `json:"out"`   // tokens drawn
	Draws float64 `json:"draws"` // draws until one is good, at least 1
}

// Seconds are how long the parts of a pilot took.
type Seconds struct {
	Simulate float64 `json:"simulate"` // all conversations
	Score    float64 `json:"score"`    // all scores
	Respond  float64 `json:"respond"`
	Judge    float64 `json:"judge"`
	Tune     float64 `json:"tune"`

	Turns       int `json:"turns"`        // of the conversations
	Scores      int `json:"scores"`       // made
	Responses   int `json:"responses"`    // made
	Verdicts    int `json:"verdicts"`     // made
	TunedTokens int `json:"tuned_tokens"` // of the examples, epochs counted
}

// Lengths are tokens to assume where there was no pilot.
type Lengths struct {
	Question, Answer, Response, Judge int
}

// PaperLengths are those of the paper's run, about: 62 million tokens drawn in 250,000
// questions, as many answers and 12,500 responses an iteration.
func PaperLengths() Lengths { return Lengths{Question: 50, Answer: 60, Response: 350, Judge: 150} }

// Assume makes a shape from assumed lengths: it renders conversations of texts that long.
func Assume(cfg stargate.Config, set *prompt.Set, count Counter, l Lengths) (Shape, error) {
	l.Question, l.Answer, l.Response = min(l.Question, cfg.Questioner.MaxTokens), min(l.Answer, cfg.Roleplayer.MaxTokens), min(l.Response, cfg.Response.MaxTokens)
	turn := stargate.Turn{Question: filler(count, l.Question), Answer: filler(count, l.Answer)}
	var c []stargate.Turn
	for range cfg.MaxTurns {
		c = append(c, turn)
	}
	s, err := shapeOf(cfg, set, count, []stargate.Pair{{Task: stargate.Task{Text: "t"}, Persona: stargate.Persona{Name: "n", Text: "p"}, Gold: "g"}},
		[][]stargate.Conversation{{{Turns: c, Outcome: stargate.Complete}}}, nil)
	if err != nil {
		return s, err
	}
	for k := range s.Response {
		s.Response[k].Out = float64(l.Response)
	}
	s.Judge, s.Source = float64(l.Judge), fmt.Sprintf("assumed: questions of %d tokens, answers of %d, responses of %d, verdicts of %d", l.Question, l.Answer, l.Response, l.Judge)
	return s, nil
}

// filler is a text of about so many tokens.
func filler(count Counter, tokens int) string {
	const word = "something "
	text := word
	for len(text) < 40*tokens && count.Text(text) < tokens {
		text += word
	}
	return text
}

// measure adds up calls of one kind and place.
type measure struct{ added, out, n float64 }

func (m measure) drawn() Drawn {
	n := max(m.n, 1)
	return Drawn{Added: m.added / n, Out: m.out / n, Draws: 1}
}

// shapeOf measures conversations, pair by pair, and responses to some of them.
func shapeOf(cfg stargate.Config, set *prompt.Set, count Counter, pairs []stargate.Pair, sims [][]stargate.Conversation, selected [][]stargate.Selected) (Shape, error) {
	s := Shape{Distinct: 1, Complete: 1, In: Factors{}, Out: Factors{}}
	questions, answers := make([]measure, cfg.MaxTurns), make([]measure, cfg.MaxTurns)
	responses, knowing := make([]measure, cfg.MaxTurns), make([]measure, cfg.MaxTurns)
	var all, complete, distinct, turns, redrawn float64
	for i, p := range pairs {
		r := renderer{set, count, p}
		empty, err := r.first()
		if err != nil {
			return s, err
		}
		seen := map[string]bool{}
		for _, c := range sims[i] {
			all++
			turns += float64(max(len(c.Turns), 1))
			redrawn += float64(len(c.Redrawn))
			for t, turn := range c.Turns {
				q, h, err := r.turn(c.Turns[:t], turn.Question)
				if err != nil {
					return s, err
				}
				add(&questions[t], q-empty.question, count.Text(turn.Question))
				add(&answers[t], h-empty.answer, count.Text(turn.Answer))
			}
			if c.Outcome != stargate.Complete || len(c.Turns) == 0 {
				continue
			}
			complete++
			seen[fmt.Sprint(c.Turns)] = true
			after, known, err := r.after(c.Turns)
			if err != nil {
				return s, err
			}
			add(&responses[len(c.Turns)-1], after-empty.response, 0)
			add(&knowing[len(c.Turns)-1], known-empty.knowing, 0)
		}
		distinct += float64(len(seen))
	}
	for t := range cfg.MaxTurns {
		s.Question, s.Answer = append(s.Question, questions[t].drawn()), append(s.Answer, answers[t].drawn())
		s.Response, s.Knowing = append(s.Response, responses[t].drawn()), append(s.Knowing, knowing[t].drawn().Added)
	}
	extend(s.Question, questions)
	extend(s.Answer, answers)
	extend(s.Response, responses)
	if all > 0 && complete > 0 {
		s.Complete, s.Distinct = complete/all, distinct/complete
		for t := range s.Question { // a turn thrown away is a question or an answer: half each
			s.Question[t].Draws, s.Answer[t].Draws = 1+redrawn/turns/2, 1+redrawn/turns/2
		}
	}
	var out measure
	for _, of := range selected {
		for _, sel := range of {
			if sel.Response != "" {
				add(&out, 0, count.Text(sel.Response))
			}
		}
	}
	for k := range s.Response {
		s.Response[k].Out = out.drawn().Out
	}
	return s, nil
}

func add(m *measure, added, out int) {
	m.added, m.out, m.n = m.added+float64(added), m.out+float64(out), m.n+1
}

// extend fills in what a small pilot did not see: a line through what it saw last, and the
// length it saw last.
func extend(d []Drawn, m []measure) {
	for t := range d {
		if m[t].n > 0 || t == 0 {
			continue
		}
		d[t].Out = d[t-1].Out
		if d[t].Added = d[t-1].Added; t > 1 {
			d[t].Added += d[t-1].Added - d[t-2].Added
		}
	}
}

// renderer counts the prompts of one pair.
type renderer struct {
	set   *prompt.Set
	count Counter
	pair  stargate.Pair
}

// static are the prompts of a pair without any turn.
type static struct{ question, answer, response, knowing int }

func (r renderer) first() (static, error) {
	var s static
	q, h, err := r.turn(nil, "")
	if err != nil {
		return s, err
	}
	after, known, err := r.after(nil)
	return static{q, h, after, known}, err
}

func (r renderer) turn(so []stargate.Turn, question string) (q, h int, err error) {
	p := r.pair
	chat, err := r.set.Question(p.Persona.Name, p.Task.Text, promptTurns(so))
	if err != nil {
		return 0, 0, err
	}
	q = r.count.Chat(chat)
	if chat, err = r.set.Answer(p.Persona.Name, p.Persona.Text, p.Task.Text, promptTurns(so), question); err != nil {
		return 0, 0, err
	}
	return q, r.count.Chat(chat), nil
}

func (r renderer) after(s []stargate.Turn) (response, knowing int, err error) {
	p := r.pair
	chat, err := r.set.Response(p.Persona.Name, p.Task.Text, promptTurns(s))
	if err != nil {
		return 0, 0, err
	}
	response = r.count.Chat(chat)
	if chat, err = r.set.Positive(p.Persona.Name, p.Persona.Text, p.Task.Text, promptTurns(s)); err != nil {
		return 0, 0, err
	}
	return response, r.count.Chat(chat), nil
}

func promptTurns(s []stargate.Turn) []prompt.Turn {
	out := make([]prompt.Turn, len(s))
	for i, t := range s {
		out[i] = prompt.Turn(t)
	}
	return out
}
