package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stargate/runner"
	"stargate/telemetry"
)

func metricsFlag(c *cobra.Command, addr *string) {
	c.Flags().StringVar(addr, "metrics", "", "serve metrics for Prometheus at this address, such as :9464, which only this machine reaches, or 0.0.0.0:9464 (default nowhere). Traces go where OTEL_EXPORTER_OTLP_ENDPOINT says")
}

// flushTime is how long the end of a command waits for its last spans to be sent.
const flushTime = 5 * time.Second

// watch gives a run telemetry, if the flag or the environment asks for it. stop sends what is
// not sent yet.
func watch(c *cobra.Command, addr string, o *runner.Options) (stop func() error, err error) {
	if addr == "" && !telemetry.Wanted() {
		return func() error { return nil }, nil
	}
	t, err := telemetry.New(c.Context(), telemetry.Options{Version: buildVersion(), Command: c.Name()})
	if err != nil {
		return nil, err
	}
	o.Telemetry = t
	ctx, end := context.WithCancel(c.Context())
	served := make(chan error, 1)
	if addr == "" {
		served <- nil
	} else {
		l, err := telemetry.Listen(addr)
		if err != nil {
			end()
			return nil, fmt.Errorf("%w: --metrics: %w", errUsage, err)
		}
		if _, err := fmt.Fprintf(c.ErrOrStderr(), "metrics at http://%s/metrics\n", l.Addr()); err != nil {
			end()
			return nil, errors.Join(err, l.Close())
		}
		go func() { served <- t.Serve(ctx, l) }()
	}
	return func() error {
		end()
		within, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), flushTime)
		defer cancel()
		if err := errors.Join(<-served, t.Close(within)); err != nil {
			return fmt.Errorf("telemetry: %w", err)
		}
		return nil
	}, nil
}
