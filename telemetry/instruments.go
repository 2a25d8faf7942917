package telemetry

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"stargate/lm"
	"stargate/lm/remote/fleet"
)

// Names of labels.
const (
	labelRole    = "role"    // "questioner", "roleplayer", "scorer", "judge", …
	labelKind    = "kind"    // "generate" or "score"
	labelResult  = "result"  // "made", "replayed", or "failed": see resultOf
	labelTokens  = "tokens"  // "in" or "out"
	labelOutcome = "outcome" // of a conversation: "complete", or the flaw it was dropped for; of an attempt: package fleet's
	labelFlaw    = "flaw"    // of a turn that was drawn again
	labelStage   = "stage"   // "iteration 1: simulate"
	labelModel   = "model"   // "m1"
	labelRun     = "run"     // its directory's name
)

// seconds are buckets from 5 ms to 10 min.
var seconds = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

// instruments are all metrics. Prometheus puts "stargate_" and its suffixes around the names.
type instruments struct {
	calls         metric.Int64Counter
	running       metric.Int64UpDownCounter
	tokens        metric.Int64Counter
	callTime      metric.Float64Histogram
	scoreNats     metric.Float64Counter
	scoreTokens   metric.Int64Counter
	pairs         metric.Int64Counter
	pairTime      metric.Float64Histogram
	conversations metric.Int64Counter
	redrawn       metric.Int64Counter
	stageDone     metric.Int64Gauge
	stageSize     metric.Int64Gauge
	cost          metric.Float64Gauge
	trainStep     metric.Int64Gauge
	trainSteps    metric.Int64Gauge
	trainLoss     metric.Float64Gauge
	trainRate     metric.Float64Gauge
	trainNorm     metric.Float64Gauge

	known sync.Map // attribute sets by their values: making one costs more than counting

	mu     sync.Mutex
	fleets []servers
}

// servers are those that play a role.
type servers struct {
	role  metric.ObserveOption
	name  string
	stats func() fleet.Stats
}

// maker collects the errors of making instruments.
type maker struct {
	metric.Meter
	err error
}

func made[T any](m *maker, instrument T, err error) T {
	if err != nil && m.err == nil {
		m.err = err
	}
	return instrument
}

func (m *maker) counter(name, about string) metric.Int64Counter {
	i, err := m.Int64Counter("stargate."+name, metric.WithDescription(about))
	return made(m, i, err)
}

func (m *maker) gauge(name, about string) metric.Int64Gauge {
	i, err := m.Int64Gauge("stargate."+name, metric.WithDescription(about))
	return made(m, i, err)
}

func (m *maker) number(name, about string) metric.Float64Gauge {
	i, err := m.Float64Gauge("stargate."+name, metric.WithDescription(about))
	return made(m, i, err)
}

func (m *maker) time(name, about string) metric.Float64Histogram {
	i, err := m.Float64Histogram("stargate."+name, metric.WithDescription(about), metric.WithUnit("s"), seconds)
	return made(m, i, err)
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	m := &maker{Meter: meter}
	i := &instruments{
		calls:    m.counter("calls", "Calls of models that roles asked for, by how they ended: made, replayed from the ledger or shared with another caller, failed."),
		tokens:   m.counter("call.tokens", "Tokens of the calls that were made, as the models count them."),
		callTime: m.time("call.duration", "Time of the calls that were made, waiting for the model included."),
		// Log-probabilities are below 0, which no counter may be: these count their negatives.
		scoreTokens:   m.counter("score.tokens", "Tokens of targets that were scored."),
		pairs:         m.counter("pairs", "Pairs of task and persona that went through lines 3 to 5 of the algorithm."),
		pairTime:      m.time("pair.duration", "Time of a pair, from its first question to its training responses."),
		conversations: m.counter("conversations", "Simulated conversations, complete or by the flaw for which they were dropped."),
		redrawn:       m.counter("redrawn.turns", "Turns that were thrown away and drawn again, by flaw."),
		stageDone:     m.gauge("stage.done", "What is done of a stage: pairs of a simulation and an evaluation, fine-tunes."),
		stageSize:     m.gauge("stage.size", "What a stage has to do in all."),
		cost:          m.number("cost", "What the servers' prices add up to so far, earlier sessions of the run included, in the prices' currency."),
		trainStep:     m.gauge("train.step", "Optimiser steps done of the last fine-tune of this name."),
		trainSteps:    m.gauge("train.steps", "Optimiser steps of it in all."),
		trainLoss:     m.number("train.loss", "Loss of the last step, in nats per trained token."),
		trainRate:     m.number("train.learning.rate", "Learning rate of the last step."),
		trainNorm:     m.number("train.gradient.norm", "Gradient norm of the last step, before clipping."),
	}
	running, err := meter.Int64UpDownCounter("stargate.calls.running", metric.WithDescription("Calls that are asked for and not answered yet."))
	i.running = made(m, running, err)
	nats, err := meter.Float64Counter("stargate.score.nats", metric.WithDescription("Negative log-probability of targets that were scored, in nats; divided by stargate_score_tokens_total it is the mean per token."))
	i.scoreNats = made(m, nats, err)
	i.watchFleets(m)
	return i, m.err
}

// watchFleets reads what fleets count when metrics are asked for.
func (i *instruments) watchFleets(m *maker) {
	count := func(name, about string) metric.Int64ObservableCounter {
		c, err := m.Int64ObservableCounter("stargate.fleet."+name, metric.WithDescription(about))
		return made(m, c, err)
	}
	now := func(name, about string) metric.Int64ObservableGauge {
		g, err := m.Int64ObservableGauge("stargate.fleet."+name, metric.WithDescription(about))
		return made(m, g, err)
	}
	attempts := count("attempts", "Requests to the servers of a role, by outcome.")
	retries := count("retries", "Requests that failed and could be tried again.")
	calls := count("calls", "Calls that ended, each of one or more requests.")
	hedges := count("hedges", "Second requests beside a slow first.")
	waiting := now("waiting", "Calls that wait for a place at a server.")
	flying := now("in.flight", "Requests that servers work on.")
	down := now("endpoints.down", "Servers that were taken out because they failed.")
	waited, err := m.Float64ObservableCounter("stargate.fleet.wait", metric.WithDescription("Time that calls waited for a first place; divided by stargate_fleet_calls_total it is the mean."), metric.WithUnit("s"))
	waited = made(m, waited, err)
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i.mu.Lock()
		all := i.fleets
		i.mu.Unlock()
		for _, f := range all {
			s := f.stats()
			o.ObserveInt64(retries, s.Retries(), f.role)
			o.ObserveInt64(calls, s.Calls, f.role)
			o.ObserveInt64(hedges, s.Hedges, f.role)
			o.ObserveInt64(waiting, int64(s.Waiting), f.role)
			o.ObserveInt64(flying, int64(s.InFlight), f.role)
			o.ObserveFloat64(waited, s.Waited.Seconds(), f.role)
			out := int64(0)
			for _, e := range s.Endpoints {
				if e.Down {
					out++
				}
			}
			o.ObserveInt64(down, out, f.role)
			for outcome, n := range s.Attempts {
				o.ObserveInt64(attempts, n, i.label(labelRole, f.name, labelOutcome, outcome.String()))
			}
		}
		return nil
	}, attempts, retries, calls, hedges, waiting, flying, down, waited)
	made(m, 0, err)
}

// Fleet shows what the servers of a role do. A role whose servers were shown before shows these
// instead.
func (i *instruments) Fleet(role string, stats func() fleet.Stats) {
	f := servers{i.label(labelRole, role), role, stats}
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]servers, 0, len(i.fleets)+1)
	for _, other := range i.fleets {
		if other.name != role {
			all = append(all, other)
		}
	}
	i.fleets = append(all, f)
}

// Cost shows what the servers' prices add up to for a run.
func (i *instruments) Cost(run string, cost float64) {
	i.cost.Record(context.Background(), cost, i.label(labelRun, run))
}

// Step shows a step of a fine-tune.
func (i *instruments) Step(model string, s lm.TuneStep, steps int) {
	at, ctx := i.label(labelModel, model), context.Background()
	i.trainStep.Record(ctx, int64(s.Step), at)
	i.trainSteps.Record(ctx, int64(steps), at)
	i.trainLoss.Record(ctx, s.Loss, at)
	i.trainRate.Record(ctx, s.LearningRate, at)
	i.trainNorm.Record(ctx, s.GradNorm, at)
}

// labels are the ways to use a set of attributes.
type labels interface {
	metric.AddOption
	metric.RecordOption
	metric.ObserveOption
}

// label is a set of labels, names and values in turns, made once.
func (i *instruments) label(pairs ...string) labels {
	var key [6]string
	copy(key[:], pairs)
	if l, ok := i.known.Load(key); ok {
		return l.(labels)
	}
	all := make([]attribute.KeyValue, 0, len(pairs)/2)
	for at := 0; at < len(pairs); at += 2 {
		all = append(all, attribute.String(pairs[at], pairs[at+1]))
	}
	l, _ := i.known.LoadOrStore(key, metric.WithAttributeSet(attribute.NewSet(all...)))
	return l.(labels)
}
