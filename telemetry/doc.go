// Package telemetry shows a run from outside while it goes: metrics for Prometheus and traces by
// OpenTelemetry's protocol.
//
// Metrics count what runs are made of: calls of models by role, their tokens and what they cost,
// the queues before servers and the attempts that failed, conversations and why they were
// dropped, the log-probability of gold responses, pairs done in each stage, the steps and the
// loss of training. Instruments lists them all, as the dashboard in deploy/grafana
// queries them.
//
// Traces have a span for every stage, every pair, and every call. A call's span bears the
// ledger's key of the call, so that a row of the ledger and the trace of its making are found by
// each other. They are sent where the standard variables OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT say, and nowhere without them.
//
// Nothing here changes a result, and what is not asked for costs nothing: packages that work
// know only functions that may be nil (docs/design/0015-observability.md).
package telemetry
