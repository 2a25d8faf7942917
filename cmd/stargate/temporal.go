package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"stargate/runner/cluster"
)

// temporalFlags are how to reach a Temporal server, for all commands that do.
func temporalFlags(c *cobra.Command, t *cluster.Connection) {
	f := c.Flags()
	f.StringVar(&t.Address, "temporal", "", "Temporal server as HOST:PORT (default $TEMPORAL_ADDRESS, or Temporal's own configuration, or "+client.DefaultHostPort+")")
	f.StringVar(&t.Namespace, "namespace", "", "Temporal namespace (default $TEMPORAL_NAMESPACE, or "+client.DefaultNamespace+")")
	f.StringVar(&t.Profile, "temporal-profile", "", "profile of Temporal's own configuration file")
	f.BoolVar(&t.TLS, "tls", false, "encrypt the connection to Temporal (implied by what follows)")
	f.StringVar(&t.Cert, "tls-cert", "", "client certificate (PEM), for mTLS; read for every connection, so that it can be renewed")
	f.StringVar(&t.Key, "tls-key", "", "its key (PEM)")
	f.StringVar(&t.CA, "tls-ca", "", "certificates of the server's authority (PEM; default the system's)")
	f.StringVar(&t.ServerName, "tls-server-name", "", "name in the server's certificate, if it is another than that of --temporal")
	f.StringVar(&t.APIKeyFile, "api-key-file", "", "file with the API key (or $TEMPORAL_API_KEY); read for every call, so that it can be replaced")
	f.StringVar(&t.KeysFile, "payload-keys", "", "file with the keys that encrypt what Temporal stores, the same for all workers and commands: 32 bytes in base64 a line (openssl rand -base64 32), the newest first")
}

// control connects to Temporal; end the connection when done.
func control(ctx context.Context, t cluster.Connection) (*cluster.Control, func(), error) {
	c, err := t.Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	return cluster.NewControl(c, t.Data()), c.Close, nil
}

// runName is the name of a run on a cluster: that of its directory.
func runName(arg string) string { return filepath.Base(filepath.Clean(arg)) }

// oneRun is a command that does something with a run on a cluster.
func oneRun(t *cluster.Connection, do func(c *cobra.Command, control *cluster.Control, run string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		ctl, end, err := control(c.Context(), *t)
		if err != nil {
			return err
		}
		defer end()
		return do(c, ctl, runName(args[0]))
	}
}
