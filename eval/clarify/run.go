package clarify

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"stargate/eval/reply"
	"stargate/lm"
)

// Mode is how the decision is put to the model.
type Mode string

// The modes.
const (
	Invited Mode = "invited" // the model is told that it may ask one question, or answer
	Plain   Mode = "plain"   // nothing is added: what the model does of itself
)

//go:embed invite.tmpl
var invitation string

// Options say how to run a model over items.
type Options struct {
	Mode        Mode        // "" = Invited
	Invitation  string      // put before the last user message in the mode Invited; "" is the program's own
	Sampling    lm.Sampling // greedy by default; the item's number is added to the seed
	Concurrency int         // items in flight; 0 = 16; changes no result
	Observe     func(done, total int)
}

// Decision is what a model did with an item.
type Decision struct {
	Item  string    `json:"item"`
	Group string    `json:"group"`
	Kind  string    `json:"kind,omitempty"`
	Ask   bool      `json:"ask"` // a question is needed
	Act   reply.Act `json:"act"`
	Text  string    `json:"text"`
}

// Run puts every item to the model. What the model refuses, or what does not fit its
// context, is a decision (refused, or nothing); any other failure ends the run.
func Run(ctx context.Context, m lm.Generator, items []Item, o Options) ([]Decision, error) {
	invite := o.Invitation
	switch {
	case o.Mode != "" && o.Mode != Invited && o.Mode != Plain:
		return nil, fmt.Errorf("mode is %q, want %q or %q", o.Mode, Invited, Plain)
	case o.Mode == Plain:
		invite = ""
	case invite == "":
		invite = invitation
	}
	invite = strings.TrimSpace(invite)
	limit := o.Concurrency
	if limit < 1 {
		limit = 16
	}
	out := make([]Decision, len(items))
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for n, i := range items {
		g.Go(func() error {
			chat := slices.Clone(i.Chat)
			if invite != "" {
				chat[len(chat)-1].Content = invite + "\n\n" + chat[len(chat)-1].Content
			}
			sampling := o.Sampling
			sampling.Seed += uint64(n)
			c, err := m.Generate(ctx, chat, sampling)
			d := Decision{Item: i.ID, Group: i.Group, Kind: i.Kind, Ask: i.Ask, Text: c.Text}
			switch {
			case errors.Is(err, lm.ErrRefused):
				d.Act = reply.Refuses
			case errors.Is(err, lm.ErrContextLength):
				d.Act = reply.Nothing
			case err != nil:
				return fmt.Errorf("item %s: %w", i.ID, err)
			default:
				d.Act = reply.Read(c.Text)
			}
			out[n] = d
			if o.Observe != nil {
				o.Observe(int(done.Add(1)), len(items))
			}
			return nil
		})
	}
	return out, g.Wait()
}
