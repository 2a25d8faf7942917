package nano

import (
	"math/rand/v2"
	"slices"
	"strings"

	"stargate/lm"
	"stargate/prompt"
)

// Document is one text of the pre-training corpus.
type Document struct {
	Kind string
	Chat lm.Chat
	Loss []bool // by message: its content (and its end) is to be predicted
}

// kinds are the document kinds with their shares of the corpus.
var kinds = []struct {
	name  string
	share float64
	users bool // later user messages are predicted, too: a repeated task is the plainest lesson in copying
	make  func(*corpus, *rand.Rand, lesson) (lm.Chat, int, error)
}{
	{"answer", 0.30, false, (*corpus).answer},     // the Roleplayer's messages
	{"ask", 0.14, false, (*corpus).ask},           // the Questioner's messages
	{"directed", 0.12, false, (*corpus).directed}, // a Questioner who is told to ask what matters
	{"respond", 0.28, true, (*corpus).respond},    // a conversation and its response
	{"positive", 0.08, false, (*corpus).positive}, // persona and response
	{"informed", 0.08, true, (*corpus).informed},  // persona, conversation and response
}

// Corpus is an endless stream of documents in which the base model sees every role played:
// it answers from a persona, asks about anything, responds with what was told. It contains
// no wording and no value combination of any split.
type Corpus struct {
	c    corpus
	seed uint64
}

type corpus struct {
	w       *World
	prompts *prompt.Set
	tasks   [][]Task // of the pre-training pool, by family
}

// NewCorpus is the corpus of a world named by seed, in the messages of the set prompts.
func NewCorpus(w *World, prompts *prompt.Set, seed uint64) *Corpus {
	c := corpus{w: w, prompts: prompts}
	for i := range w.Families {
		c.tasks = append(c.tasks, w.tasksOf(i, poolPretrain))
	}
	return &Corpus{c, seed}
}

// Document returns the i-th document. It depends on world, prompts, seed and i alone.
func (c *Corpus) Document(i int) (Document, error) {
	r := stream("document", c.c.w.Name, c.seed, i)
	at := r.Float64()
	k := 0
	for at >= kinds[k].share && k+1 < len(kinds) {
		at -= kinds[k].share
		k++
	}
	l := lesson{values: len(c.c.w.Attributes), turns: 4}
	if progress := float64(i) / float64(rampDocuments); progress < 1 {
		l = lesson{values: 1 + int(progress*float64(len(c.c.w.Attributes))), turns: 1 + int(progress*4)}
	}
	if r.Float64() < drillShare*(1-float64(i)/rampDocuments) {
		return c.c.drill(r), nil
	}
	chat, from, err := kinds[k].make(&c.c, r, l)
	if err != nil {
		return Document{}, err
	}
	d := Document{Kind: kinds[k].name, Chat: chat, Loss: make([]bool, len(chat))}
	for j := range chat {
		d.Loss[j] = j >= from
		if chat[j].Role == lm.User {
			d.Loss[j] = kinds[k].users && j > 0
		}
	}
	return d, nil
}

func pick[T any](r *rand.Rand, xs []T) T { return xs[r.IntN(len(xs))] }

// rampDocuments is how many documents the lessons take to reach their full length. Finding
// one value among few is learned long before finding it among all, and it is the same
// skill: without the ramp, copying is not learned in many millions of tokens.
const rampDocuments = 24000

// drillShare is the share of drills in the first documents; it falls to none at the ramp's end.
const drillShare = 0.6

// drill: repeat a few values. Every word of the answer is a copy, which teaches the model to
// tell the values of an attribute apart long before it knows where to look for them.
func (c *corpus) drill(r *rand.Rand) Document {
	values := make([]string, 2+r.IntN(9))
	for i := range values {
		values[i] = pick(r, pick(r, c.w.Attributes).Values)
	}
	list := strings.Join(values, ", ")
	chat := lm.Chat{{Role: lm.User, Content: "Say " + list + "."}, {Role: lm.Assistant, Content: "I say " + list + "."}}
	return Document{Kind: "drill", Chat: chat, Loss: []bool{false, true}}
}

// lesson bounds the length of a document.
type lesson struct {
	values int // most values a persona tells
	turns  int // most questions
}

// partial lets a persona tell a part of its values only: as many as the lesson allows, and
// in half of the full-length documents also fewer.
func (c *corpus) partial(r *rand.Rand, p Persona, l lesson) Persona {
	n := min(l.values, len(c.w.Attributes))
	if n < len(c.w.Attributes) || r.IntN(2) == 0 {
		n = 1 + r.IntN(n)
	}
	if n == len(c.w.Attributes) {
		return p
	}
	values := map[string]string{}
	for _, i := range r.Perm(len(c.w.Attributes))[:n] {
		id := c.w.Attributes[i].ID
		values[id] = p.Values[id]
	}
	p.Values, p.Text = values, c.w.describe(r, values)
	return p
}

func (c *corpus) draw(r *rand.Rand) (Task, Persona) {
	return pick(r, pick(r, c.tasks)), c.w.drawPersona(r, poolPretrain)
}

// repeatRate is how often the corpus asks again what was asked already: people do, and a
// model that never saw it would not know how to go on.
const repeatRate = 0.04

// turns draws n questions with the persona's answers and returns the values told. With
// probability bias a question is a relevant one, as long as there is one; bias 0 asks about any
// attribute alike.
func (c *corpus) turns(r *rand.Rand, n int, t Task, p Persona, bias float64) ([]prompt.Turn, map[string]string) {
	var turns []prompt.Turn
	told := map[string]string{}
	relevant := c.w.Relevant(t.Text)
	for range n {
		repeat := r.Float64() < repeatRate
		var open, wanted []Attribute
		for _, a := range c.w.Attributes {
			_, known := p.Values[a.ID]
			_, asked := told[a.ID]
			if known && (!asked || repeat || len(told) == len(p.Values)) {
				open = append(open, a)
			}
		}
		if r.Float64() < bias {
			for _, a := range open {
				if _, asked := told[a.ID]; !asked && slices.Contains(relevant, a.ID) {
					wanted = append(wanted, a)
				}
			}
		}
		a := pick(r, open)
		if len(wanted) > 0 {
			a = pick(r, wanted)
		}
		told[a.ID] = p.Values[a.ID]
		turns = append(turns, prompt.Turn{Question: pick(r, a.Questions), Answer: fill(pick(r, a.Answers), p.Values[a.ID])})
	}
	return turns, told
}

// answer: a persona is asked 1..6 questions. The task says nothing about which.
func (c *corpus) answer(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	p = c.partial(r, p, l)
	turns, _ := c.turns(r, 1+r.IntN(min(l.values, 6)), t, p, 0.2)
	last := len(turns) - 1
	chat, err := c.prompts.Answer(p.Name, p.Text, t.Text, turns[:last], turns[last].Question)
	return append(chat, lm.Message{Role: lm.Assistant, Content: turns[last].Answer}), 0, err
}

// ask: 1..4 questions about any attribute.
func (c *corpus) ask(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	return c.interview(r, l, t, p, 0)
}

// direction is an instruction that nobody gives in the loop.
const direction = "Ask what matters."

// directed: 1..4 questions to the point, for one who is told to ask those. So the base model
// has the notion of a question that matters, as a large model has, and no habit of using it.
func (c *corpus) directed(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	chat, from, err := c.interview(r, l, t, p, 1)
	if err == nil {
		chat[0].Content += "\n\n" + direction
	}
	return chat, from, err
}

// interview renders questions and answers. Any user message may carry the Questioner's
// instruction, as in the loop, or lack it, as in fine-tuning (PROTOCOL §6): what is learned
// of one must hold for the other.
func (c *corpus) interview(r *rand.Rand, l lesson, t Task, p Persona, bias float64) (lm.Chat, int, error) {
	turns, _ := c.turns(r, 1+r.IntN(l.turns), t, p, bias)
	chat, err := c.prompts.Response(p.Name, t.Text, nil)
	if err != nil {
		return nil, 0, err
	}
	for i, turn := range turns {
		if i > 0 {
			chat = append(chat, lm.Message{Role: lm.User, Content: turns[i-1].Answer})
		}
		if r.IntN(2) == 0 {
			asked, err := c.prompts.Question(p.Name, t.Text, turns[:i])
			if err != nil {
				return nil, 0, err
			}
			chat[len(chat)-1] = asked[len(asked)-1]
		}
		chat = append(chat, lm.Message{Role: lm.Assistant, Content: turn.Question})
	}
	return chat, 0, nil
}

// respond: 0..4 turns, half of them to the point, and the response. Only the response is to
// be predicted: these questions would teach the knack that the base must not have.
func (c *corpus) respond(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	n := 1 + r.IntN(l.turns)
	if r.Float64() < 0.08 {
		n = 0
	}
	turns, told := c.turns(r, n, t, p, 0.55)
	chat, err := c.prompts.Response(p.Name, t.Text, turns)
	return append(chat, lm.Message{Role: lm.Assistant, Content: c.w.Response(t, told)}), len(chat), err
}

func (c *corpus) positive(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	p = c.partial(r, p, l)
	chat, err := c.prompts.Positive(p.Name, p.Text, t.Text, nil)
	return append(chat, lm.Message{Role: lm.Assistant, Content: c.w.Gold(t, p)}), len(chat), err
}

func (c *corpus) informed(r *rand.Rand, l lesson) (lm.Chat, int, error) {
	t, p := c.draw(r)
	p = c.partial(r, p, l)
	turns, _ := c.turns(r, 1+r.IntN(min(l.turns, 3)), t, p, 0.4)
	chat, err := c.prompts.Positive(p.Name, p.Text, t.Text, turns)
	return append(chat, lm.Message{Role: lm.Assistant, Content: c.w.Gold(t, p)}), len(chat), err
}
