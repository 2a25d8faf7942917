package runner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/plan"
)

// TinkerPrice is money per million tokens, as Tinker's price list has it.
type TinkerPrice struct {
	Train   float64 `yaml:"train" json:"train,omitempty"`     // of the examples of all steps, and of held-out ones whenever their loss is measured
	Prefill float64 `yaml:"prefill" json:"prefill,omitempty"` // of prompts, where policies speak on the service; nothing is taken off for what it caches
	Sample  float64 `yaml:"sample" json:"sample,omitempty"`   // of what they draw
}

func (p TinkerPrice) validate() error {
	if p.Train < 0 || p.Prefill < 0 || p.Sample < 0 {
		return fmt.Errorf("price is {train: %g, prefill: %g, sample: %g}, want numbers from 0: money per million tokens", p.Train, p.Prefill, p.Sample)
	}
	return nil
}

// by role, as the ledger and the forecast name them.
func (t TinkerSpec) prices() map[string]remote.Price {
	out := map[string]remote.Price{plan.Trainer: {Input: t.Price.Train}}
	if t.Sample {
		out[plan.Sampled] = remote.Price{Input: t.Price.Prefill, Output: t.Price.Sample}
	}
	return out
}

// forecast adds what the trainer is paid for. given are prices that go over the experiment's.
func (t TrainerSpec) forecast(in *plan.Input, given map[string]remote.Price) {
	if t.Tinker == nil {
		return
	}
	if in.Servers == nil {
		in.Servers = map[string]float64{}
	}
	for role, price := range t.Tinker.prices() {
		in.Prices[role], in.Servers[role] = price, 1
		if _, ok := given[role]; !ok && price == (remote.Price{}) {
			in.Notes = append(in.Notes, fmt.Sprintf("the money of the %s is in no figure and in no limit: trainer: {tinker: {price: {train: …, prefill: …, sample: …}}} is not given", role))
		}
	}
}

// prices are those of the roles that are paid for, by role as the ledger names it.
func (s *session) prices() map[string]remote.Price {
	out := map[string]remote.Price{}
	for role, p := range s.cast.payees(s.experiment) {
		out[role] = p.Price
	}
	if k := s.experiment.Trainer.Tinker; k != nil {
		for role, p := range k.prices() {
			out[role] = p
		}
	}
	return out
}

// payment is a document of the ledger: tokens that a trainer was paid for.
type payment struct {
	Role   string `json:"role"` // who paid, as roles are called in the ledger
	Tokens int    `json:"tokens"`
}

const paymentPrefix = "paid to the trainer of "

// eachPayment visits the payments for the fine-tune with this key; with "" all.
func eachPayment(ctx context.Context, r *ledger.Reader, key string, visit func(payment)) error {
	return r.Documents(ctx, paymentPrefix+key, func(key string, body json.RawMessage) error {
		var p payment
		if err := json.Unmarshal(body, &p); err != nil {
			return fmt.Errorf("document %q of the ledger: %w", key, err)
		}
		visit(p)
		return nil
	})
}

// purse pays the trainer of one fine-tune out of the run's budget. What is paid is in the ledger
// before it is sent, so a run that goes on counts it, also what a lost session trained in vain.
type purse struct {
	models *models
	key    string // of the fine-tune
	place  string // of this session's payments
	n      int
}

func (s *models) purse(key string) *purse {
	return &purse{models: s, key: key, place: rand.Text()}
}

// Afford implements [trainer.Purse].
func (p *purse) Afford(ctx context.Context, tokens int) error {
	h, err := p.models.wages.Reserve(ctx, tokens, 0)
	h.Release()
	return err
}

// Pay implements [trainer.Purse].
func (p *purse) Pay(ctx context.Context, tokens int) error {
	h, err := p.models.wages.Reserve(ctx, tokens, 0)
	if err != nil {
		return err
	}
	p.n++
	if err := p.models.ledger.Put(ctx, fmt.Sprintf("%s%s: %s %d", paymentPrefix, p.key, p.place, p.n), payment{p.models.role(plan.Trainer), tokens}); err != nil {
		h.Release()
		return err
	}
	h.Settle(lm.Usage{PromptTokens: tokens})
	return nil
}

// eachWage visits what the trainer of this run was paid.
func (s *session) eachWage(ctx context.Context, visit func(remote.Spend)) error {
	return eachPayment(ctx, s.ledger.Reader, "", func(p payment) {
		if _, own := s.ownRole(p.Role); own {
			visit(remote.Spend{Calls: 1, TokensIn: int64(p.Tokens)})
		}
	})
}

// trained is what the trainer of the run's models was given, whoever paid for it.
func (s *session) trained(ctx context.Context) (fineTunes int, tokens int64, err error) {
	for _, key := range s.models.keys {
		err = errors.Join(err, eachPayment(ctx, s.ledger.Reader, key, func(p payment) { tokens += int64(p.Tokens) }))
	}
	return len(s.models.keys), tokens, err
}

// policyRole is the role of fine-tuned Questioners in the ledger.
func (b *base) policyRole() string {
	if b.trainer != nil && b.trainer.sampler != nil {
		return plan.Sampled
	}
	return plan.Questioner
}

// paidSampler is a policy on the service that trained it: a call is paid for like one to any
// other server.
type paidSampler struct {
	lm.Generator
	account *remote.Account
	text    *local.Text
	context int // tokens
}

// Generate implements [lm.Generator].
func (p *paidSampler) Generate(ctx context.Context, chat lm.Chat, want lm.Sampling) (lm.Completion, error) {
	prompt, err := p.text.Prompt(chat)
	if err != nil {
		return lm.Completion{}, err
	}
	most := max(p.context-len(prompt), 0)
	if want.MaxTokens > 0 {
		most = min(most, want.MaxTokens)
	}
	hold, err := p.account.Reserve(ctx, len(prompt), most)
	if err != nil {
		return lm.Completion{}, err
	}
	c, err := p.Generator.Generate(ctx, chat, want)
	switch {
	case err == nil:
		hold.Settle(c.Usage)
	case errors.Is(err, lm.ErrContextLength): // nothing was sent
		hold.Release()
	default:
		hold.Estimate()
	}
	return c, err
}
