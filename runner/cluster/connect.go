package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
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

// ErrUnreachable: no Temporal server answers.
var ErrUnreachable = errors.New("no Temporal server answers")

// dialTime is how long a server may take to answer at all.
const dialTime = 15 * time.Second

// Dial connects, and fails with [ErrUnreachable] or with what the server refuses.
func (c Connection) Dial(ctx context.Context) (client.Client, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	within, stop := context.WithTimeout(ctx, dialTime)
	defer stop()
	t, err := client.DialContext(within, o)
	switch {
	case err == nil:
		return t, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case within.Err() != nil || unavailable(err):
		return nil, fmt.Errorf("%w at %s (namespace %s): %w; give another --temporal, start the server, or look at --tls, --tls-ca and --api-key-file", ErrUnreachable, o.HostPort, o.Namespace, err)
	}
	return nil, fmt.Errorf("temporal at %s: %w", o.HostPort, err)
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
	if c.TLS || c.Cert != "" || c.Key != "" || c.CA != "" || c.ServerName != "" || c.APIKeyFile != "" {
		if o.ConnectionOptions.TLS, err = c.tls(); err != nil {
			return o, err
		}
	}
	if c.KeysFile != "" {
		codec, err := ReadCodec(c.KeysFile)
		if err != nil {
			return o, err
		}
		Encrypt(&o, codec)
	}
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

// Encrypt makes a client encrypt what it sends, texts and stacks of failures included.
func Encrypt(o *client.Options, codec *Codec) {
	o.DataConverter = converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: o.DataConverter, EncodeCommonAttributes: true})
}

func (c Connection) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("--tls-cert and --tls-key go together")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("CA certificate: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("CA certificate: %s holds none in PEM", c.CA)
		}
	}
	return t, nil
}

// Data is the converter of what is read besides the client: nil without encryption, or where
// the keys cannot be read, which Dial tells.
func (c Connection) Data() converter.DataConverter {
	o, err := c.options()
	if err != nil {
		return nil
	}
	return o.DataConverter
}

// RegisterAttributes makes the search attributes known to the namespace. Those that are known
// stay.
func (c Connection) RegisterAttributes(ctx context.Context, t client.Client) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	_, err = t.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: o.Namespace, SearchAttributes: map[string]enumspb.IndexedValueType{
			attributeRun.GetName(): attributeRun.GetValueType(), attributeStage.GetName(): attributeStage.GetValueType(), attributePairs.GetName(): attributePairs.GetValueType(),
		},
	})
	if _, there := errors.AsType[*serviceerror.AlreadyExists](err); err != nil && !there {
		return fmt.Errorf("search attributes: %w; an operator can register them, or leave --search-attributes out", err)
	}
	return nil
}

func readKey(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("API key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
