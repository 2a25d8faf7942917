package ledger

import (
	"context"
	"time"
)

// Watcher is told of every call that a role asks for: when it begins, and by the function it
// returns when it has ended. The call goes on with the context it returns. It must be quick, and
// safe for concurrent use.
type Watcher func(ctx context.Context, c Asked) (context.Context, func(Ended))

// Asked is a call that a role asks for.
type Asked struct {
	Role  string
	Model string // digest
	Kind  Kind
	Key   Key
}

// Ended is how a call ended for one who asked for it.
type Ended struct {
	Made      bool          // by this caller just now; else it was replayed, or another caller made it
	Took      time.Duration // in the model, waiting for it included; 0 unless made
	TokensIn  int
	TokensOut int
	LogProb   float64 // of a score, in nats, summed over the target's tokens
	Err       error
}

// Watch has w told of every call from now on. Call it before the ledger is used.
func (l *Ledger) Watch(w Watcher) { l.watch = w }

// watched is called under a watcher.
func (j *journal) watched(ctx context.Context, key Key, made func(context.Context) (row, error)) (row, error) {
	ctx, ended := j.ledger.watch(ctx, Asked{Role: j.source.role, Model: j.source.model, Kind: j.source.kind, Key: key})
	var e Ended
	r, err := j.called(ctx, key, func(ctx context.Context) (row, error) {
		began := time.Now()
		r, err := made(ctx)
		e.Made, e.Took = true, time.Since(began)
		return r, err
	})
	e.TokensIn, e.TokensOut, e.LogProb, e.Err = r.tokensIn, r.tokensOut, r.score, err
	ended(e)
	return r, err
}
