package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Options of telemetry.
type Options struct {
	Version string // of the program
	Command string // "run", "worker"

	// Spans, if not nil, gets the spans instead of what the OTEL_… variables name.
	Spans trace.SpanProcessor
}

// Telemetry watches the runs of a process. All methods are safe for concurrent use.
type Telemetry struct {
	*instruments
	spans   *spans // nil: nobody wants them
	handler http.Handler
	close   []func(context.Context) error
}

// New makes telemetry ready: the handler can be served, and spans are sent if the environment
// names a place for them.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithAttributes(attributesOf(o)...))
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	meters := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithResource(about))
	t := &Telemetry{handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), close: []func(context.Context) error{meters.Shutdown}}
	if t.instruments, err = newInstruments(meters.Meter(scopeName)); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	processor := o.Spans
	if processor == nil && Wanted() {
		sender, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: traces: %w; look at OTEL_EXPORTER_OTLP_ENDPOINT", err)
		}
		processor = trace.NewBatchSpanProcessor(sender)
	}
	if processor != nil {
		tracers := trace.NewTracerProvider(trace.WithSpanProcessor(processor), trace.WithResource(about))
		t.spans = newSpans(tracers.Tracer(scopeName))
		t.close = append(t.close, func(context.Context) error { t.spans.end(); return nil }, tracers.Shutdown)
	}
	return t, nil
}

const scopeName = "stargate"

// Wanted tells whether the environment asks for traces.
func Wanted() bool { return wantsTraces(os.Getenv) }

// wantsTraces: the environment names a place for them, and does not forbid them.
func wantsTraces(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_TRACES_EXPORTER") == "otlp" || getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Handler serves the metrics in Prometheus' text format.
func (t *Telemetry) Handler() http.Handler { return t.handler }

// Close sends what was not sent yet. It takes as long as ctx allows.
func (t *Telemetry) Close(ctx context.Context) error {
	var err error
	for _, c := range t.close {
		err = errors.Join(err, c(ctx))
	}
	return err
}
