package telemetry

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"stargate"
	"stargate/ledger"
)

// attributesOf say who speaks. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before them.
func attributesOf(o Options) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ServiceVersion(o.Version), attribute.String("stargate.command", o.Command)}
}

// spans are the traces: one for each stage, with its pairs and calls inside.
type spans struct {
	tracer trace.Tracer

	mu      sync.Mutex
	name    string // of the stage
	current trace.Span
}

func newSpans(t trace.Tracer) *spans { return &spans{tracer: t} }

// stage begins a stage, unless it is the one that goes on.
func (s *spans) stage(name string, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.name == name {
		return
	}
	if s.current != nil {
		s.current.End()
	}
	s.name = name
	_, s.current = s.tracer.Start(context.Background(), name, trace.WithAttributes(attribute.String("stargate.stage", name), attribute.Int("stargate.stage.size", total)))
}

// end ends the last stage.
func (s *spans) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current.End()
		s.current = nil
	}
}

// under is a context inside the stage, where it is inside no span yet.
func (s *spans) under(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.current)
}

func (s *spans) pair(ctx context.Context, iteration int, p stargate.Pair) (context.Context, func(stargate.Candidates, []stargate.Selected, error)) {
	ctx, span := s.tracer.Start(s.under(ctx), "pair", trace.WithAttributes(attribute.String("stargate.pair", p.Key()), attribute.Int("stargate.iteration", iteration)))
	return ctx, func(best stargate.Candidates, sel []stargate.Selected, err error) {
		if failed(span, err); err == nil {
			span.SetAttributes(attribute.Int("stargate.conversations.complete", len(best.Scored)), attribute.Int("stargate.conversations.dropped", len(best.Dropped)), attribute.Int("stargate.selected", len(sel)))
		}
		span.End()
	}
}

func (s *spans) call(ctx context.Context, a ledger.Asked) (context.Context, func(ledger.Ended, string)) {
	ctx, span := s.tracer.Start(s.under(ctx), a.Role+" "+string(a.Kind), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("stargate.role", a.Role), attribute.String("stargate.kind", string(a.Kind)), attribute.String("stargate.ledger.key", a.Key.String()), attribute.String("stargate.model.digest", a.Model)))
	if at := span.SpanContext(); at.IsSampled() {
		ctx = ledger.InSpan(ctx, ledger.Span{Trace: at.TraceID(), ID: at.SpanID()})
	}
	return ctx, func(e ledger.Ended, result string) {
		span.SetAttributes(attribute.String("stargate.result", result), attribute.Int("gen_ai.usage.input_tokens", e.TokensIn), attribute.Int("gen_ai.usage.output_tokens", e.TokensOut))
		failed(span, e.Err)
		span.End()
	}
}

func failed(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
}
