package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const clusterName = "active"

// server is the four services of Temporal in this process.
type server struct {
	temporal.Server
	address  string // of the frontend, as clients on this machine reach it
	database string // as shown to people
}

func newServer(o options) (*server, error) {
	port, err := portOf(o.ip, o.port)
	if err != nil {
		return nil, fmt.Errorf("--port %d: %w", o.port, err)
	}
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Level: o.logLevel, Format: "console"}))
	s := &server{address: net.JoinHostPort(reachable(o.ip), strconv.Itoa(port))}
	cfg := &config.Config{ // nobody joins, but twice MaxJoinDuration is what services have to start
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: startTime / 2, BroadcastAddress: "127.0.0.1"}},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: s.address}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: s.address},
	}
	if cfg.Persistence, s.database, err = persistence(o, logger); err != nil {
		return nil, err
	}
	// The services know each other's addresses: a server that is started again after a crash
	// does not look for the one that was.
	hosts := make(map[primitives.ServiceName]static.Hosts)
	cfg.Services = make(map[string]config.Service)
	for _, name := range temporal.DefaultServices {
		ip, own := "127.0.0.1", 0
		if name == string(primitives.FrontendService) {
			ip, own = o.ip, port
		} else if own, err = portOf(ip, 0); err != nil {
			return nil, fmt.Errorf("a port for the %s service: %w", name, err)
		}
		cfg.Services[name] = config.Service{RPC: config.RPC{GRPCPort: own, BindOnIP: ip}}
		at := net.JoinHostPort(reachable(ip), strconv.Itoa(own))
		hosts[primitives.ServiceName(name)] = static.Hosts{All: []string{at}, Self: at}
	}
	s.Server, err = temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamic),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the server: %w", err)
	}
	return s, nil
}

// dynamic fits a machine that serves a few users: namespaces and attributes that were just
// made are there at once.
var dynamic = dynamicconfig.StaticClient{
	dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
	dynamicconfig.NamespaceCacheRefreshInterval.Key():           time.Second,
}

// portOf is the port itself if nobody has it, and a free one for 0.
func portOf(ip string, port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	port = l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// reachable is the address under which this machine finds what listens on ip.
func reachable(ip string) string {
	if net.ParseIP(ip).IsUnspecified() {
		return "127.0.0.1"
	}
	return ip
}
