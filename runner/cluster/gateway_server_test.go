package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/internal/temporaltest"
	"stargate/runner"
)

// joined starts a worker of some kind for a plan. end stops it, unless the test has ended.
func joined(t *testing.T, p Part, at Connection, plan Plan, o WorkerOptions) (end func()) {
	t.Helper()
	return joinedTo(t, map[string]Part{plan.Run: p}, at, plan, o)
}

// joinedTo is joined for several runs of a plan.
func joinedTo(t *testing.T, runs map[string]Part, at Connection, plan Plan, o WorkerOptions) (end func()) {
	t.Helper()
	c, err := at.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Roles == nil {
		o.Roles = Roles()
	}
	o.Queues, o.Stop = plan.Queues, 5*time.Second
	o.Open = func(_ context.Context, run, identity string) (Part, error) {
		if p, ok := runs[run]; ok && identity == plan.Identity {
			return p, nil
		}
		return nil, runner.ErrOtherRun
	}
	w, err := NewWorker(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
	t.Cleanup(end)
	return end
}

// controlled is a control that ends with the test.
func controlled(t *testing.T, at Connection) *Control {
	t.Helper()
	c, err := at.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return NewControl(c, at.Data())
}

// planned is a small run of its own pool.
func planned(name string) Plan {
	p := testPlan()
	p.Run, p.Queues.Pool = name, name
	return p
}

// comesTo waits until a run's status is as wanted, and returns it.
func comesTo(t *testing.T, c *Control, run string, wanted func(*Status) bool) *Status {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		s, err := c.Status(t.Context(), run, time.Now())
		if err == nil && wanted(s) {
			return s
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the run does not come to it: %+v, %v", s, err)
		}
	}
}

// noted is a status with a note of this text.
func noted(text string) func(*Status) bool {
	return func(s *Status) bool { return strings.Contains(strings.Join(s.Notes, "\n"), text) }
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// use puts a certificate and its key where a connection has them.
func use(t *testing.T, cert, key string, at Connection) {
	for from, to := range map[string]string{cert: at.Cert, key: at.Key} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// Runs through gateways as clusters of companies have them: with certificates and with
// keys, which are replaced while the run goes.
func TestGateway(t *testing.T) {
	server := temporaltest.Start(t, temporaltest.Options{NoUI: true})
	mutual := temporaltest.NewGateway(t, server.Address(), temporaltest.GatewayOptions{Certificates: true})
	keyed := temporaltest.NewGateway(t, server.Address(), temporaltest.GatewayOptions{APIKey: "first"})

	t.Run("certificates", func(t *testing.T) {
		dir := t.TempDir()
		at := Connection{Address: mutual.Address(), CA: mutual.CA, Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
		use(t, mutual.Cert, mutual.Key, at)
		plan := planned("certificates")
		p := part{workers: new(workers)}
		refused := make(chan error, 1)
		var once sync.Once
		p.hold = func(context.Context, Shard) error {
			once.Do(func() { // the files become those of a stranger for a moment: they are read for every connection
				use(t, mutual.Stranger.Cert, mutual.Stranger.Key, at)
				mutual.HangUp()
				_, err := at.Dial(t.Context())
				refused <- err
				use(t, mutual.Cert, mutual.Key, at)
			})
			return nil
		}
		control := controlled(t, at)
		joined(t, p, at, plan, WorkerOptions{})
		through(t, control, plan)
		if err := <-refused; !errors.Is(err, ErrUnreachable) {
			t.Errorf("with the certificate of a stranger: %v", err)
		}
		if mutual.Passed() == 0 {
			t.Error("nothing went through the gateway")
		}
	})
	t.Run("key", func(t *testing.T) {
		file := write(t, "key", "first\n")
		at := Connection{Address: keyed.Address(), CA: keyed.CA, APIKeyFile: file}
		plan := planned("key")
		p := part{workers: new(workers)}
		var once sync.Once
		p.hold = func(context.Context, Shard) error { // both keys are good until the file has the new one
			once.Do(func() {
				keyed.SetAPIKeys("first", "second")
				if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
					t.Error(err)
				}
				time.Sleep(500 * time.Millisecond)
				keyed.SetAPIKeys("second")
			})
			return nil
		}
		joined(t, p, at, plan, WorkerOptions{})
		control := controlled(t, at)
		through(t, control, plan)
		keyed.SetAPIKeys("third")
		defer keyed.SetAPIKeys("second")
		if err := control.Cancel(t.Context(), plan.Run); !errors.Is(err, ErrRefused) {
			t.Errorf("with a key that has run out: %v", err)
		}
	})
	t.Run("refusals", func(t *testing.T) { refusals(t, server, mutual, keyed) })
	t.Run("variables", func(t *testing.T) {
		t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", mutual.Cert)
		t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", mutual.Key)
		t.Setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", mutual.CA)
		for name, at := range map[string]Connection{
			"alone":         {Address: mutual.Address()},
			"a flag more":   {Address: mutual.Address(), CA: mutual.CA},
			"a flag before": {Address: mutual.Address(), ServerName: "127.0.0.1"},
		} {
			c, err := at.Dial(t.Context())
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			c.Close()
		}
		t.Setenv("TEMPORAL_API_KEY", "second")
		c, err := Connection{Address: keyed.Address(), CA: keyed.CA}.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

// through does a whole run.
func through(t *testing.T, c *Control, plan Plan) {
	t.Helper()
	if err := c.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Wait(t.Context(), plan.Run); err != nil || out.Digest != "of the report" {
		t.Fatalf("%+v, %v", out, err)
	}
}

// refusals are what people get wrong, and what they are told.
func refusals(t *testing.T, server *temporaltest.Server, mutual, keyed *temporaltest.Gateway) {
	wrong := write(t, "wrong", "fourth")
	for name, c := range map[string]struct {
		at   Connection
		is   error
		says string // one of them where there is a |: who hangs up first may differ
	}{
		"no certificate":          {Connection{Address: mutual.Address(), CA: mutual.CA}, ErrUnreachable, "wants a client certificate: give --tls-cert|may not know the authority of the client certificate (--tls-cert), or want one"},
		"a stranger":              {Connection{Address: mutual.Address(), CA: mutual.CA, Cert: mutual.Stranger.Cert, Key: mutual.Stranger.Key}, ErrUnreachable, "have to be of an authority that it knows|may not know the authority of the client certificate"},
		"no authority":            {Connection{Address: mutual.Address(), Cert: mutual.Cert, Key: mutual.Key}, ErrUnreachable, "name it with --tls-ca"},
		"another authority":       {Connection{Address: mutual.Address(), CA: keyed.CA, Cert: mutual.Cert, Key: mutual.Key}, ErrUnreachable, "name it with --tls-ca"},
		"another name":            {Connection{Address: keyed.Address(), CA: keyed.CA, ServerName: "temporal.example.org"}, ErrUnreachable, "--tls-server-name"},
		"no TLS":                  {Connection{Address: mutual.Address()}, ErrUnreachable, "it may want TLS (--tls"},
		"TLS to who speaks none":  {Connection{Address: server.Address(), TLS: true}, ErrUnreachable, "the server speaks no TLS"},
		"no key":                  {Connection{Address: keyed.Address(), CA: keyed.CA}, ErrRefused, "it wants an API key (--api-key-file"},
		"a wrong key":             {Connection{Address: keyed.Address(), CA: keyed.CA, APIKeyFile: wrong}, ErrRefused, "Request unauthorized.; it wants an API key (--api-key-file"},
		"an empty key":            {Connection{Address: keyed.Address(), CA: keyed.CA, APIKeyFile: write(t, "empty", "\n")}, nil, "empty is empty"},
		"no such namespace":       {Connection{Address: server.Address(), Namespace: "nowhere"}, ErrNamespace, "temporal operator namespace create --namespace nowhere"},
		"a key of another":        {Connection{Address: mutual.Address(), CA: mutual.CA, Cert: mutual.Cert, Key: mutual.Stranger.Key}, nil, "private key does not match"},
		"a certificate alone":     {Connection{Address: mutual.Address(), Cert: mutual.Cert}, nil, "--tls-cert and --tls-key go together"},
		"an authority that is no": {Connection{Address: mutual.Address(), CA: wrong}, nil, "wrong holds none in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := c.at.Dial(t.Context())
			if err == nil {
				client.Close()
				t.Fatal("it connected")
			}
			said := false
			for one := range strings.SplitSeq(c.says, "|") {
				said = said || strings.Contains(err.Error(), one)
			}
			if !said || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v that says %q", err, c.is, c.says)
			}
		})
	}
}
