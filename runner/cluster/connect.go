package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Connection is how to reach a Temporal server. What is empty comes from Temporal's own
// configuration: its file's profile, and the variables TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
// TEMPORAL_API_KEY, TEMPORAL_TLS_….
type Connection struct {
	Address   string // host:port
	Namespace string
	Profile   string // of Temporal's configuration file

	TLS        bool // also implied by a certificate, a CA or an API key
	Cert, Key  string
	CA         string
	ServerName string
	APIKeyFile string // a file, since others on a machine see the arguments of a command

	KeysFile string // encryption keys (see [ReadCodec]); "" = payloads are not encrypted
	Identity string // of the process in histories; "" = PID and host
}

// Errors of connections that callers branch on.
var (
	// ErrUnreachable: no Temporal server answers.
	ErrUnreachable = errors.New("no Temporal server answers")
	// ErrRefused: the server does not let this client do it.
	ErrRefused = errors.New("the Temporal server refuses")
	// ErrNamespace: the server has no such namespace.
	ErrNamespace = errors.New("the Temporal server has no such namespace")
)

// dialTime is how long a server may take to answer at all.
const dialTime = 15 * time.Second

// Dial connects. It fails with [ErrUnreachable], [ErrRefused] or [ErrNamespace], each with what
// to do.
func (c Connection) Dial(ctx context.Context) (client.Client, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	within, stop := context.WithTimeout(ctx, dialTime)
	defer stop()
	t, err := client.DialContext(within, o)
	if err == nil {
		// Asked here, since a worker would only hear of it when it polls, and a run when it has
		// looked at its models. Who may not ask for namespaces may still do all else.
		_, err = t.WorkflowService().DescribeNamespace(within, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
		if _, none := errors.AsType[*serviceerror.NamespaceNotFound](err); !none {
			return t, nil
		}
		t.Close()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case within.Err() != nil || unavailable(err):
		return nil, fmt.Errorf("%w at %s (namespace %s): %w; %s", ErrUnreachable, o.HostPort, o.Namespace, err, advice(err, o.ConnectionOptions.TLS != nil))
	}
	if told := refusal(err); told != nil {
		return nil, fmt.Errorf("%s: %w", o.HostPort, told)
	}
	return nil, fmt.Errorf("temporal at %s: %w", o.HostPort, err)
}

// refusal is what a server means that knows who asks, or what for, and will not; nil for other
// errors.
func refusal(err error) error {
	if gone, ok := errors.AsType[*serviceerror.NamespaceNotFound](err); ok {
		return fmt.Errorf("%w: %s; give another --namespace, or make it: temporal operator namespace create --namespace %[2]s", ErrNamespace, gone.Namespace)
	}
	_, denied := errors.AsType[*serviceerror.PermissionDenied](err)
	if denied || status.Code(err) == codes.Unauthenticated {
		return fmt.Errorf("%w: %w; it wants an API key (--api-key-file or TEMPORAL_API_KEY) or a client certificate (--tls-cert) that may do this in this --namespace, and has not run out", ErrRefused, err)
	}
	return nil
}

func unavailable(err error) bool {
	_, away := errors.AsType[*serviceerror.Unavailable](err)
	return away || errors.Is(err, context.DeadlineExceeded)
}

func (c Connection) options() (client.Options, error) {
	o, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{ConfigFileProfile: c.Profile})
	if err != nil {
		return o, fmt.Errorf("temporal's configuration: %w", err)
	}
	if c.Address != "" {
		o.HostPort = c.Address
	}
	if o.HostPort == "" {
		o.HostPort = client.DefaultHostPort
	}
	if c.Namespace != "" {
		o.Namespace = c.Namespace
	}
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	if c.APIKeyFile != "" {
		file := c.APIKeyFile
		if _, err := readKey(file); err != nil {
			return o, err
		}
		// Read for every call, so that a key can be replaced while workers run.
		o.Credentials = client.NewAPIKeyDynamicCredentials(func(context.Context) (string, error) { return readKey(file) })
	}
	if c.encrypts() {
		if o.ConnectionOptions.TLS, err = c.tls(o.ConnectionOptions.TLS); err != nil {
			return o, err
		}
		o.ConnectionOptions.TLSDisabled = false // by the variables, which are weaker
	}
	codec := new(Codec)
	if c.KeysFile != "" {
		if codec, err = ReadCodec(c.KeysFile); err != nil {
			return o, err
		}
	}
	Encrypt(&o, codec)
	if o.Identity = c.Identity; o.Identity == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		o.Identity = fmt.Sprintf("%d@%s", os.Getpid(), host)
	}
	o.Logger = log.NewStructuredLogger(slog.Default())
	return o, nil
}

// Data is the converter of what is read besides the client; nil where the keys cannot be read,
// which Dial tells.
func (c Connection) Data() converter.DataConverter {
	o, err := c.options()
	if err != nil {
		return nil
	}
	return o.DataConverter
}

func readKey(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("API key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", fmt.Errorf("API key: %s is empty", file)
	}
	return key, nil
}
