package trainset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"stargate/lm"
)

// Encoder turns a conversation into tokens and says which of them carry loss: those of the
// assistant messages whose indices are in loss, each with its end-of-turn token. A *local.Text
// is one, and so is a *local.Model.
type Encoder interface {
	Encode(chat lm.Chat, loss []int) (ids []int32, mask []bool, err error)
}

// Row is an example in tokens.
type Row struct {
	Key    string
	Tokens []int32
	Loss   []bool // Loss[t]: predicting Tokens[t] from those before it is trained

	// Weights multiply the losses of the tokens that carry one; nil: each counts 1. Only some
	// trainers can weigh.
	Weights []float32
}

// Trained counts the tokens that carry loss.
func (r Row) Trained() int {
	n := 0
	for _, l := range r.Loss {
		if l {
			n++
		}
	}
	return n
}

// Weight is what the loss of predicting token t is multiplied by.
func (r Row) Weight(t int) float64 {
	switch {
	case !r.Loss[t]:
		return 0
	case r.Weights == nil:
		return 1
	}
	return float64(r.Weights[t])
}

// Check says what is wrong with a row that no trainer may be given: [lm.ErrNoLoss], or a mask
// that does not fit the tokens.
func (r Row) Check() error {
	switch {
	case len(r.Loss) != len(r.Tokens):
		return fmt.Errorf("%d tokens but %d loss flags; give one flag per token", len(r.Tokens), len(r.Loss))
	case r.Trained() == 0:
		return lm.ErrNoLoss
	case r.Loss[0]:
		return fmt.Errorf("token 0 carries loss, but nothing precedes it")
	case r.Weights != nil && len(r.Weights) != len(r.Tokens):
		return fmt.Errorf("%d tokens but %d weights; give one weight per token", len(r.Tokens), len(r.Weights))
	}
	for t, w := range r.Weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) || (w > 0) != r.Loss[t] {
			return fmt.Errorf("token %d has weight %g and carries loss: %t; weights are above 0 where there is loss, and 0 elsewhere", t, w, r.Loss[t])
		}
	}
	for t, id := range r.Tokens {
		if id < 0 {
			return fmt.Errorf("token %d is %d: token ids are not negative", t, id)
		}
	}
	return nil
}

// Set is a training set. The zero value is empty.
type Set struct {
	Train   []Row    // by key
	Held    []Row    // held out, by key: for the evaluation loss
	Dropped []string // keys of examples too long for the context, by name: never truncated
}

// New encodes examples and divides them. Those of more than context tokens are dropped and
// named; heldOut is the share to hold out and seed says which.
//
// Errors name the example's key: two of the same key, [lm.ErrNoLoss], a conversation the
// encoder refuses.
func New(e Encoder, examples []lm.Example, context int, heldOut float64, seed uint64) (Set, error) {
	rows, err := Encode(e, examples)
	if err != nil {
		return Set{}, err
	}
	return Split(rows, context, heldOut, seed)
}

// Encode is the examples in tokens, with errors that name the example's key.
func Encode(e Encoder, examples []lm.Example) ([]Row, error) {
	rows := make([]Row, len(examples))
	for i, x := range examples {
		if len(x.Loss) == 0 {
			return nil, fmt.Errorf("example %q: %w", x.Key, lm.ErrNoLoss)
		}
		ids, mask, err := e.Encode(x.Messages, x.Loss)
		if err != nil {
			return nil, fmt.Errorf("example %q: %w", x.Key, err)
		}
		rows[i] = Row{Key: x.Key, Tokens: ids, Loss: mask}
	}
	return rows, nil
}

// Split is [New] for rows that are in tokens already.
func Split(rows []Row, context int, heldOut float64, seed uint64) (Set, error) {
	var s Set
	seen := make(map[string]bool, len(rows))
	for _, r := range rows {
		if seen[r.Key] {
			return Set{}, fmt.Errorf("example %q occurs twice; keys name the place in the order, so they must differ", r.Key)
		}
		seen[r.Key] = true
		if err := r.Check(); err != nil {
			return Set{}, fmt.Errorf("example %q: %w", r.Key, err)
		}
		switch {
		case len(r.Tokens) > context:
			s.Dropped = append(s.Dropped, r.Key)
		case float64(place("held out", seed, 0, r.Key))/(1<<64) < heldOut:
			s.Held = append(s.Held, r)
		default:
			s.Train = append(s.Train, r)
		}
	}
	slices.Sort(s.Dropped)
	byKey := func(a, b Row) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(s.Train, byKey)
	slices.SortFunc(s.Held, byKey)
	return s, nil
}

// Epoch is the rows to train on in the order of an epoch, counted from 0: a shuffle named by
// seed and epoch, in which a row's place depends on its own key alone.
func (s Set) Epoch(seed uint64, epoch int) []Row {
	type placed struct {
		at uint64
		Row
	}
	rows := make([]placed, len(s.Train))
	for i, r := range s.Train {
		rows[i] = placed{place("order", seed, epoch, r.Key), r}
	}
	slices.SortFunc(rows, func(a, b placed) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	out := make([]Row, len(rows))
	for i, r := range rows {
		out[i] = r.Row
	}
	return out
}

// Steps is how many optimiser steps h takes over the set: each epoch ends with what is left of
// a batch.
func (s Set) Steps(h lm.Hyper) int {
	return h.Epochs * s.StepsPerEpoch(h)
}

// StepsPerEpoch is the number of batches of an epoch.
func (s Set) StepsPerEpoch(h lm.Hyper) int {
	return (len(s.Train) + h.BatchSize - 1) / h.BatchSize
}

// Log is the part of a training log that the set determines.
func (s Set) Log() lm.TuneLog {
	log := lm.TuneLog{Examples: len(s.Train), HeldOut: len(s.Held), Dropped: s.Dropped}
	for _, r := range s.Train {
		log.Tokens += r.Trained()
	}
	return log
}

// Weighted tells whether a token that carries loss has another weight than 1.
func (s Set) Weighted() bool {
	for _, rows := range [][]Row{s.Train, s.Held} {
		for _, r := range rows {
			for t := range r.Weights {
				if r.Loss[t] && r.Weights[t] != 1 {
					return true
				}
			}
		}
	}
	return false
}

// Longest is the number of tokens of the longest row, held-out ones included.
func (s Set) Longest() int {
	n := 0
	for _, rows := range [][]Row{s.Train, s.Held} {
		for _, r := range rows {
			n = max(n, len(r.Tokens))
		}
	}
	return n
}

// place is a pseudo-random number that belongs to a key.
func place(purpose string, seed uint64, epoch int, key string) uint64 {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d/%s", purpose, seed, epoch, key))
	return binary.BigEndian.Uint64(h[:])
}
