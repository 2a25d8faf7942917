package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// ui is the web UI.
type ui struct {
	server  *uiserver.Server
	address string
	ended   chan struct{}
	err     error // after ended
}

// startUI starts the UI of the server at frontend.
func startUI(ip string, port int, frontend, namespace string) (*ui, error) {
	port, err := portOf(ip, port) // the UI itself ends the process where its port is taken
	if err != nil {
		return nil, fmt.Errorf("--ui-port %d: %w", port, err)
	}
	u := &ui{address: net.JoinHostPort(reachable(ip), strconv.Itoa(port)), ended: make(chan struct{})}
	cfg := &config.Config{
		TemporalGRPCAddress: frontend, Host: ip, Port: port, EnableUI: true, DefaultNamespace: namespace, HideLogs: true,
		CORS:             config.CORS{CookieInsecure: true},
		DisableNewsFetch: true,
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u.server = uiserver.NewServer(server_options.WithConfigProvider(cfg))
	go func() {
		u.err = u.server.Start()
		close(u.ended)
	}()
	for {
		c, err := net.Dial("tcp", u.address)
		if err == nil {
			return u, c.Close()
		}
		select {
		case <-u.ended:
			return nil, fmt.Errorf("the UI ended at its start: %w", errors.Join(u.err, err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close stops the UI and waits until it has ended.
func (u *ui) Close() error {
	u.server.Stop()
	<-u.ended
	return u.err
}
