package main

import (
	"fmt"
	"net"
	"strconv"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// ui is the web UI.
type ui struct {
	server  *server.Server
	address string
	failed  chan error
}

// startUI starts the UI of the server at frontend.
func startUI(ip string, port int, frontend, namespace string) (*ui, error) {
	port, err := portOf(ip, port) // the UI itself ends the process where its port is taken
	if err != nil {
		return nil, fmt.Errorf("--ui-port %d: %w", port, err)
	}
	u := &ui{address: net.JoinHostPort(reachable(ip), strconv.Itoa(port)), failed: make(chan error, 1)}
	cfg := &config.Config{
		TemporalGRPCAddress: frontend, Host: ip, Port: port, EnableUI: true, DefaultNamespace: namespace, HideLogs: true,
		CORS:             config.CORS{CookieInsecure: true},
		DisableNewsFetch: true,
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u.server = server.NewServer(server_options.WithConfigProvider(cfg))
	go func() { u.failed <- u.server.Start() }()
	return u, nil
}

// Close stops the UI and waits until it has ended.
func (u *ui) Close() error {
	u.server.Stop()
	return <-u.failed
}
