package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"stargate"
	"stargate/ledger"
	"stargate/lm"
)

// Call watches a ledger's calls: it is a [ledger.Watcher].
func (t *Telemetry) Call(ctx context.Context, a ledger.Asked) (context.Context, func(ledger.Ended)) {
	of := t.label(labelRole, a.Role, labelKind, string(a.Kind))
	t.running.Add(ctx, 1, of)
	outer := ctx
	endSpan := func(ledger.Ended, string) {}
	if t.spans != nil {
		ctx, endSpan = t.spans.call(ctx, a)
	}
	return ctx, func(e ledger.Ended) {
		result := resultOf(outer, e)
		t.running.Add(ctx, -1, of)
		t.calls.Add(ctx, 1, t.label(labelRole, a.Role, labelKind, string(a.Kind), labelResult, result))
		if e.Made && e.Err == nil {
			t.callTime.Record(ctx, e.Took.Seconds(), of)
			t.tokens.Add(ctx, int64(e.TokensIn), t.label(labelRole, a.Role, labelKind, string(a.Kind), labelTokens, "in"))
			t.tokens.Add(ctx, int64(e.TokensOut), t.label(labelRole, a.Role, labelKind, string(a.Kind), labelTokens, "out"))
		}
		if e.Err == nil && a.Kind == ledger.Score {
			t.score(ctx, e, t.label(labelRole, a.Role))
		}
		endSpan(e, result)
	}
}

func (t *Telemetry) score(ctx context.Context, e ledger.Ended, role metric.AddOption) {
	t.scoreNats.Add(ctx, -min(e.LogProb, 0), role)
	t.scoreTokens.Add(ctx, int64(e.TokensOut), role)
}

// resultOf says how a call ended: "made"; "replayed" from the ledger, or shared with another
// caller; "refused" for good; "failed", and owed still; "cancelled".
func resultOf(ctx context.Context, e ledger.Ended) string {
	switch {
	case e.Err == nil && e.Made:
		return "made"
	case e.Err == nil:
		return "replayed"
	case ctx.Err() != nil:
		return "cancelled"
	case errors.Is(e.Err, lm.ErrRefused), errors.Is(e.Err, lm.ErrContextLength), errors.Is(e.Err, lm.ErrEmptyTarget):
		return "refused"
	}
	return "failed"
}

// Pair watches the pass of a pair: it is a [stargate.Input]'s Watch.
func (t *Telemetry) Pair(ctx context.Context, iteration int, p stargate.Pair) (context.Context, func(stargate.Candidates, []stargate.Selected, error)) {
	began := time.Now()
	endSpan := func(stargate.Candidates, []stargate.Selected, error) {}
	if t.spans != nil {
		ctx, endSpan = t.spans.pair(ctx, iteration, p)
	}
	return ctx, func(best stargate.Candidates, sel []stargate.Selected, err error) {
		defer endSpan(best, sel, err)
		if err != nil {
			return
		}
		t.pairs.Add(ctx, 1)
		t.pairTime.Record(ctx, time.Since(began).Seconds())
		for _, s := range best.Scored {
			t.conversation(ctx, s.Conversation)
		}
		for _, c := range best.Dropped {
			t.conversation(ctx, c)
		}
	}
}

func (t *Telemetry) conversation(ctx context.Context, c stargate.Conversation) {
	t.conversations.Add(ctx, 1, t.label(labelOutcome, string(c.Outcome)))
	for _, f := range c.Redrawn {
		t.redrawn.Add(ctx, 1, t.label(labelFlaw, string(f)))
	}
}

// Progress watches stages: how much of one is done. Another stage ends the one before.
func (t *Telemetry) Progress(stage string, done, total int) {
	at, ctx := t.label(labelStage, stage), context.Background()
	t.stageDone.Record(ctx, int64(done), at)
	t.stageSize.Record(ctx, int64(total), at)
	if t.spans != nil {
		t.spans.stage(stage, total)
	}
}
