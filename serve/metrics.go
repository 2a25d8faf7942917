package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stargate/lm/local"
)

// meter is what /metrics shows, in Prometheus' text format.
type meter struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	first    prometheus.Histogram
	whole    prometheus.Histogram
	prompt   prometheus.Counter
	drawn    prometheus.Counter
}

func newMeter(s *Server) *meter {
	buckets := prometheus.ExponentialBuckets(0.002, 2.5, 14) // 2 ms to 5 min
	m := &meter{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stargate_http_requests_total", Help: "Requests answered, by route and status; 499 is a client that went away."}, []string{"route", "code"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stargate_http_request_seconds", Help: "Time from a request's headers to the end of its answer.", Buckets: buckets}, []string{"route"}),
		first:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "stargate_first_token_seconds", Help: "Time to the first token of streamed completions.", Buckets: buckets}),
		whole:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "stargate_completion_seconds", Help: "Time to the last token of all completions of a request.", Buckets: buckets}),
		prompt:   prometheus.NewCounter(prometheus.CounterOpts{Name: "stargate_prompt_tokens_total", Help: "Prompt tokens of completion requests, cached ones included."}),
		drawn:    prometheus.NewCounter(prometheus.CounterOpts{Name: "stargate_completion_tokens_total", Help: "Tokens of completions."}),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.requests, m.seconds, m.first, m.whole, m.prompt, m.drawn, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	engine := func(name, help string, f func(local.Stats) int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f(s.adapters.stats())) }))
	}
	gauge("stargate_places_taken", "Completions that hold a place, running or waiting.", func() float64 { return float64(s.places.taken.Load()) })
	gauge("stargate_places", "Places there are; who comes when all are taken gets 429.", func() float64 { return float64(s.places.limit) })
	gauge("stargate_engine_running", "Sequences of the last step.", func() float64 { return float64(s.adapters.stats().Running) })
	gauge("stargate_engine_queued", "Sequences that wait for the engine.", func() float64 { return float64(s.adapters.stats().Queued) })
	gauge("stargate_engine_cache_bytes", "Keys and values held, cached prefixes included.", func() float64 { return float64(s.adapters.stats().Memory) })
	gauge("stargate_adapters", "LoRA adapters loaded.", func() float64 { return float64(len(s.adapters.list())) })
	engine("stargate_engine_computed_tokens_total", "Tokens that went through the network.", func(x local.Stats) int64 { return x.Computed })
	engine("stargate_engine_reused_tokens_total", "Tokens found in the prefix cache.", func(x local.Stats) int64 { return x.Reused })
	engine("stargate_engine_flops_total", "Floating-point operations of matrix products.", func(x local.Stats) int64 { return x.FLOPs })
	engine("stargate_engine_prefix_flops_saved_total", "Those that the prefix cache saved.", func(x local.Stats) int64 { return x.PrefixFLOPs })
	engine("stargate_engine_head_flops_saved_total", "Those of predictions that nobody wanted, not made.", func(x local.Stats) int64 { return x.HeadFLOPs })
	engine("stargate_engine_predictions_total", "Predictions made.", func(x local.Stats) int64 { return x.Drawn })
	engine("stargate_engine_preemptions_total", "Sequences put back because memory ran out.", func(x local.Stats) int64 { return x.Preempted })
	engine("stargate_engine_steps_total", "Passes over the weights.", func(x local.Stats) int64 { return x.Steps })
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

func (m *meter) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func (m *meter) tokens(u usage) {
	m.prompt.Add(float64(u.PromptTokens))
	m.drawn.Add(float64(u.CompletionTokens))
}

// completion notes how long a request's completions took, and their first token if one
// was seen.
func (m *meter) completion(began, first time.Time) {
	if !first.IsZero() {
		m.first.Observe(first.Sub(began).Seconds())
	}
	m.whole.Observe(time.Since(began).Seconds())
}

// metrics answers GET /metrics.
func (s *Server) metrics(w *answer, r *http.Request) error {
	s.meter.handler.ServeHTTP(w, r)
	return nil
}

// health answers GET /health: 200 while requests are welcome, 503 from when the server
// begins to end.
func (s *Server) health(w *answer, _ *http.Request) error {
	select {
	case <-s.ending:
		return s.classify(local.ErrClosed, nil)
	default:
		return w.send(http.StatusOK, map[string]string{"status": "ok"})
	}
}
