package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"stargate"
	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/remote/fleet"
)

func open(t testing.TB, o Options) *Telemetry {
	t.Helper()
	tel, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func scrape(t testing.TB, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

// everything makes every metric show.
func everything(tel *Telemetry) {
	ctx := context.Background()
	call := func(a ledger.Asked, e ledger.Ended) {
		_, ended := tel.Call(ctx, a)
		ended(e)
	}
	call(ledger.Asked{Role: "questioner", Kind: ledger.Generate}, ledger.Ended{Made: true, Took: 30 * time.Millisecond, TokensIn: 100, TokensOut: 20})
	call(ledger.Asked{Role: "questioner", Kind: ledger.Generate}, ledger.Ended{TokensIn: 100, TokensOut: 20})
	call(ledger.Asked{Role: "scorer", Kind: ledger.Score}, ledger.Ended{Made: true, Took: time.Second, TokensIn: 300, TokensOut: 10, LogProb: -25})
	call(ledger.Asked{Role: "judge", Kind: ledger.Generate}, ledger.Ended{Made: true, Took: time.Second, Err: errors.New("away")})
	call(ledger.Asked{Role: "judge", Kind: ledger.Generate}, ledger.Ended{Made: true, Err: lm.ErrRefused})
	_, ended := tel.Pair(ctx, 1, stargate.Pair{})
	ended(stargate.Candidates{
		Scored:  []stargate.Scored{{Conversation: stargate.Conversation{Outcome: stargate.Complete, Redrawn: []stargate.Flaw{"empty"}}}},
		Dropped: []stargate.Conversation{{Outcome: "truncated"}, {Outcome: "truncated"}},
	}, nil, nil)
	_, ended = tel.Pair(ctx, 1, stargate.Pair{})
	ended(stargate.Candidates{}, nil, errors.New("cut"))
	tel.Progress("iteration 1: simulate", 3, 4)
	tel.Cost("nano", 1.25)
	tel.Step("m1", lm.TuneStep{Step: 7, Loss: 1.5, LearningRate: 2e-5, GradNorm: 0.5}, 9)
	tel.Fleet("questioner", func() fleet.Stats {
		return fleet.Stats{Calls: 5, Hedges: 1, Waited: 3 * time.Second, Waiting: 2, InFlight: 4, Attempts: map[fleet.Outcome]int64{fleet.OK: 5, fleet.Busy: 3}, Endpoints: []fleet.EndpointStats{{Down: true}, {}}}
	})
}

func TestMetrics(t *testing.T) {
	tel := open(t, Options{Version: "1"})
	everything(tel)
	got := scrape(t, tel)
	for _, want := range []string{
		`stargate_calls_total{kind="generate",result="made",role="questioner"} 1`,
		`stargate_calls_total{kind="generate",result="replayed",role="questioner"} 1`,
		`stargate_calls_total{kind="generate",result="failed",role="judge"} 1`,
		`stargate_calls_total{kind="generate",result="refused",role="judge"} 1`,
		`stargate_calls_running{kind="score",role="scorer"} 0`,
		`stargate_call_tokens_total{kind="generate",role="questioner",tokens="in"} 100`,
		`stargate_call_tokens_total{kind="generate",role="questioner",tokens="out"} 20`,
		`stargate_call_duration_seconds_count{kind="generate",role="questioner"} 1`,
		`stargate_score_nats_total{role="scorer"} 25`,
		`stargate_score_tokens_total{role="scorer"} 10`,
		`stargate_pairs_total 1`,
		`stargate_pair_duration_seconds_count 1`,
		`stargate_conversations_total{outcome="complete"} 1`,
		`stargate_conversations_total{outcome="truncated"} 2`,
		`stargate_redrawn_turns_total{flaw="empty"} 1`,
		`stargate_stage_done{stage="iteration 1: simulate"} 3`,
		`stargate_stage_size{stage="iteration 1: simulate"} 4`,
		`stargate_cost{run="nano"} 1.25`,
		`stargate_train_step{model="m1"} 7`,
		`stargate_train_steps{model="m1"} 9`,
		`stargate_train_loss{model="m1"} 1.5`,
		`stargate_train_learning_rate{model="m1"} 2e-05`,
		`stargate_train_gradient_norm{model="m1"} 0.5`,
		`stargate_fleet_attempts_total{outcome="busy",role="questioner"} 3`,
		`stargate_fleet_retries_total{role="questioner"} 3`,
		`stargate_fleet_calls_total{role="questioner"} 5`,
		`stargate_fleet_hedges_total{role="questioner"} 1`,
		`stargate_fleet_wait_seconds_total{role="questioner"} 3`,
		`stargate_fleet_waiting{role="questioner"} 2`,
		`stargate_fleet_in_flight{role="questioner"} 4`,
		`stargate_fleet_endpoints_down{role="questioner"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, "stargate_") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

// A trace has the stage, inside it the pair, inside it the call with its key.
func TestSpans(t *testing.T) {
	seen := tracetest.NewInMemoryExporter()
	tel := open(t, Options{Spans: trace.NewSimpleSpanProcessor(seen)})
	tel.Progress("iteration 1: simulate", 0, 1)
	ctx, pair := tel.Pair(context.Background(), 1, stargate.Pair{Task: stargate.Task{ID: "t"}, Persona: stargate.Persona{ID: "p"}})
	key := ledger.GenerateKey("m", nil, lm.Sampling{})
	_, call := tel.Call(ctx, ledger.Asked{Role: "questioner", Model: "m", Kind: ledger.Generate, Key: key})
	call(ledger.Ended{Made: true, TokensIn: 5, Err: errors.New("away")})
	pair(stargate.Candidates{}, nil, nil)
	tel.Progress("evaluation: win rate", 0, 1)
	_, call = tel.Call(context.Background(), ledger.Asked{Role: "judge", Kind: ledger.Generate})
	call(ledger.Ended{})
	tel.spans.end()
	spans := seen.GetSpans()
	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		byName[s.Name] = s
	}
	for child, parent := range map[string]string{"questioner generate": "pair", "pair": "iteration 1: simulate", "judge generate": "evaluation: win rate"} {
		if byName[child].Parent.SpanID() != byName[parent].SpanContext.SpanID() || !byName[parent].SpanContext.IsValid() {
			t.Errorf("%s is not inside %s", child, parent)
		}
	}
	attributes := map[string]string{}
	for _, a := range byName["questioner generate"].Attributes {
		attributes[string(a.Key)] = a.Value.Emit()
	}
	if attributes["stargate.ledger.key"] != key.String() || attributes["stargate.result"] != "failed" {
		t.Errorf("attributes %v", attributes)
	}
	if byName["questioner generate"].Status.Description != "away" {
		t.Errorf("status %v", byName["questioner generate"].Status)
	}
}

func TestWantsTraces(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_EXPORTER": "none"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "true"}, false},
	} {
		if got := wantsTraces(func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%v: %t", tt.env, got)
		}
	}
}

// Spans reach a collector that speaks OpenTelemetry's protocol over HTTP.
func TestTracesAreSent(t *testing.T) {
	paths := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		paths <- r.URL.Path
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tel, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	tel.Progress("stage", 0, 1)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-paths; got != "/v1/traces" {
		t.Errorf("sent to %s", got)
	}
}

func TestServe(t *testing.T) {
	tel := open(t, Options{})
	l, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(l.Addr().String()); host != "127.0.0.1" {
		t.Errorf("without a host it listens on %s", host)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- tel.Serve(ctx, l) }()
	tel.Cost("nano", 2)
	r, err := http.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !strings.Contains(string(text), `stargate_cost{run="nano"} 2`) || !strings.Contains(string(text), "go_goroutines") {
		t.Errorf("%v, %s", err, text)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"9464", "nosuchhost.invalid:1"} {
		if _, err := Listen(bad); err == nil {
			t.Errorf("listens at %s", bad)
		}
	}
}

// What a call costs that is watched: metrics alone, and with a span that nobody reads.
func BenchmarkCall(b *testing.B) {
	asked := ledger.Asked{Role: "questioner", Model: "m", Kind: ledger.Generate}
	ended := ledger.Ended{Made: true, Took: time.Millisecond, TokensIn: 10, TokensOut: 3}
	for name, o := range map[string]Options{"metrics": {}, "spans": {Spans: trace.NewBatchSpanProcessor(tracetest.NewNoopExporter())}} {
		b.Run(name, func(b *testing.B) {
			tel := open(b, o)
			b.ReportAllocs()
			for b.Loop() {
				_, done := tel.Call(context.Background(), asked)
				done(ended)
			}
		})
	}
}
