package stargate

import (
	"context"

	"stargate/lm"
	"stargate/prompt"
)

// Questioner is a policy Q_η. It asks, and in the end responds; it sees the user's name
// and task and what was said, never the persona.
type Questioner struct {
	model   lm.Generator
	prompts *prompt.Set
	cfg     Config
}

// NewQuestioner lets model play the Questioner.
func NewQuestioner(model lm.Generator, prompts *prompt.Set, cfg Config) Questioner {
	return Questioner{model, prompts, cfg}
}

// WithPreamble is the same policy with or without the request for a personal answer before
// its responses ([Config.ResponsePreamble]).
func (q Questioner) WithPreamble(on bool) Questioner {
	q.cfg.ResponsePreamble = on
	return q
}

// Ask draws q_k ~ p_Q(q | t, q1, h1, …, q_{k-1}, h_{k-1}).
func (q Questioner) Ask(ctx context.Context, name string, t Task, so []Turn, seed uint64) (lm.Completion, error) {
	chat, err := q.prompts.Question(name, t.Text, turns(so))
	if err != nil {
		return lm.Completion{}, err
	}
	return q.model.Generate(ctx, chat, q.cfg.Questioner.sampling(seed))
}

// Respond gives r = argmax p_Q(r | t, s): greedy, so it needs no seed. Without turns it is
// the answer of a model that did not ask.
func (q Questioner) Respond(ctx context.Context, name string, t Task, s []Turn) (lm.Completion, error) {
	chat, err := q.prompts.Response(name, t.Text, turns(s))
	if err != nil {
		return lm.Completion{}, err
	}
	if q.cfg.ResponsePreamble {
		if chat, err = q.prompts.WithPreamble(chat); err != nil {
			return lm.Completion{}, err
		}
	}
	return q.model.Generate(ctx, chat, q.cfg.Response.sampling(0))
}

// Roleplayer is R, the simulated user. It is fixed for a run.
type Roleplayer struct {
	model   lm.Generator
	prompts *prompt.Set
	draw    Draw
	among   []Roleplayer // not nil: one of these plays, and the fields above are unused
	seed    uint64
}

// NewRoleplayer lets model play the Roleplayer.
func NewRoleplayer(model lm.Generator, prompts *prompt.Set, cfg Config) Roleplayer {
	return Roleplayer{model: model, prompts: prompts, draw: cfg.Roleplayer}
}

// OneOf is several Roleplayers, of which one plays each pair, in all its conversations: a
// hash of the pair says which, so that about as many pairs have each.
func OneOf(seed uint64, rs ...Roleplayer) Roleplayer {
	if len(rs) == 1 {
		return rs[0]
	}
	return Roleplayer{among: rs, seed: seed}
}

// Answer draws h_k ~ p_R(h | u, t, q1, h1, …, q_k).
func (r Roleplayer) Answer(ctx context.Context, u Persona, t Task, so []Turn, q string, seed uint64) (lm.Completion, error) {
	if n := len(r.among); n > 0 {
		r = r.among[Seed(r.seed, "roleplayer", t.ID, u.ID)%uint64(n)]
	}
	chat, err := r.prompts.Answer(u.Name, u.Text, t.Text, turns(so), q)
	if err != nil {
		return lm.Completion{}, err
	}
	return r.model.Generate(ctx, chat, r.draw.sampling(seed))
}

// BaseModel is what a driver must offer to be Q_BASE.
type BaseModel interface {
	lm.Generator
	lm.Scorer
	lm.Tuner
}

// Base is Q_BASE, the pretrained model: the only one that scores, and the only one that
// training starts from (Algorithm 1, lines 4 and 6). It stays as it was.
type Base struct {
	model   BaseModel
	prompts *prompt.Set
}

// NewBase makes model the frozen base of a run.
func NewBase(model BaseModel, prompts *prompt.Set) Base { return Base{model, prompts} }

// LogProb is log p_{Q_BASE}(g | t, s) in nats: the objective of equation 1. Without turns
// it is the paper's negative control.
func (b Base) LogProb(ctx context.Context, name string, t Task, s []Turn, gold string) (lm.LogProb, error) {
	chat, err := b.prompts.Response(name, t.Text, turns(s))
	if err != nil {
		return lm.LogProb{}, err
	}
	return b.model.LogProb(ctx, chat, gold)
}

// LogProbKnowing is log p_{Q_BASE}(g | u, t), the positive control; with turns, the
// authors' extra condition that adds the conversation.
func (b Base) LogProbKnowing(ctx context.Context, u Persona, t Task, s []Turn, gold string) (lm.LogProb, error) {
	chat, err := b.prompts.Positive(u.Name, u.Text, t.Text, turns(s))
	if err != nil {
		return lm.LogProb{}, err
	}
	return b.model.LogProb(ctx, chat, gold)
}

// Tune is train(Q_BASE, S, R): a new policy, from Q_BASE every time.
func (b Base) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	return b.model.Tune(ctx, name, examples, h)
}

// Questioner is m0: the base model as a policy.
func (b Base) Questioner(cfg Config) Questioner { return NewQuestioner(b.model, b.prompts, cfg) }

func turns(s []Turn) []prompt.Turn {
	out := make([]prompt.Turn, len(s))
	for i, t := range s {
		out[i] = prompt.Turn(t)
	}
	return out
}
