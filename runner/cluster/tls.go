package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// encrypts says whether a flag asks for TLS.
func (c Connection) encrypts() bool {
	return c.TLS || c.Cert != "" || c.Key != "" || c.CA != "" || c.ServerName != "" || c.APIKeyFile != ""
}

// tls is what Temporal's own configuration says, which may be nil, with what the flags say in
// its place.
func (c Connection) tls(configured *tls.Config) (*tls.Config, error) {
	t := &tls.Config{}
	if configured != nil {
		t = configured.Clone()
	}
	t.MinVersion = tls.VersionTLS12
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("--tls-cert and --tls-key go together")
	}
	if c.Cert != "" {
		if _, err := c.certificate(nil); err != nil {
			return nil, err
		}
		t.Certificates, t.GetClientCertificate = nil, c.certificate
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

// certificate reads the client's certificate. It does so for every connection: workers outlive
// certificates, which are often of a day.
func (c Connection) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s with the key %s: %w", c.Cert, c.Key, err)
	}
	return &pair, nil
}

// troubles are what a connection fails with and what to do. They are known by their texts: gRPC
// hands on nothing else of the errors below it.
var troubles = []struct {
	text string
	tls  bool // only if this end speaks TLS
	do   string
}{
	{"certificate required", true, "the server wants a client certificate: give --tls-cert and --tls-key"},
	{"remote error: tls: ", true, "the server does not take the client certificate: --tls-cert and --tls-key have to be of an authority that it knows"},
	{"unknown authority", true, "the server's certificate is of an authority that is not known here: name it with --tls-ca"},
	{"failed to verify certificate", true, "the server's certificate is not for this address: give the name in it as --tls-server-name, or look at --temporal"},
	{"does not look like a TLS handshake", true, "the server speaks no TLS: leave --tls, --tls-ca, --tls-cert and --api-key-file out"},
	{"connection refused", false, "give another --temporal, or start the server"},
	{"broken pipe", true, hungUp}, // before its reason was read
	{"connection reset", true, hungUp},
	{"EOF", true, hungUp},
	{"broken pipe", false, wantsTLS},
	{"connection reset", false, wantsTLS},
	{"EOF", false, wantsTLS},
}

const (
	hungUp   = "the server hung up: it may not know the authority of the client certificate (--tls-cert), or want one"
	wantsTLS = "the server hung up: it may want TLS (--tls, or --tls-ca with the certificate of its authority)"
)

// advice says what to do about a connection that failed.
func advice(err error, encrypted bool) string {
	for _, t := range troubles {
		if strings.Contains(err.Error(), t.text) && (encrypted || !t.tls) {
			return t.do
		}
	}
	return "give another --temporal, start the server, or look at --tls, --tls-ca and --api-key-file"
}
