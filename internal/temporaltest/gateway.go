package temporaltest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Gateway is a way to a server as clusters of companies have it: it speaks TLS, and lets
// through who has a certificate of its authority, a key, or both. The server behind it is told
// neither.
type Gateway struct {
	CA        string // file with the certificate of the authority
	Cert, Key string // files of a client whom it knows
	Stranger  Pair   // files of a client of another authority

	address string
	refuses func(method string) (status, message string)

	mu      sync.Mutex
	apiKeys []string // none = everybody passes
	passed  int
	open    map[net.Conn]bool
}

// Pair are the files of a certificate and its key.
type Pair struct{ Cert, Key string }

// GatewayOptions are whom a gateway lets through.
type GatewayOptions struct {
	Certificates bool   // only who has a certificate of the authority
	APIKey       string // only who sends it; "" = everybody

	// Refuses is what calls of a method are answered with, as the number of a gRPC status and a
	// text; no status, and they are let through. It may be nil.
	Refuses func(method string) (status, message string)
}

// NewGateway makes a gateway to the server at target, which ends with the test.
func NewGateway(tb testing.TB, target string, o GatewayOptions) *Gateway {
	tb.Helper()
	dir := tb.TempDir()
	own, other := newAuthority(tb), newAuthority(tb)
	server := own.issue(tb, "gateway", x509.ExtKeyUsageServerAuth)
	known, stranger := own.issue(tb, "client", x509.ExtKeyUsageClientAuth), other.issue(tb, "stranger", x509.ExtKeyUsageClientAuth)
	g := &Gateway{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "client.pem"), Key: filepath.Join(dir, "client.key"), refuses: o.Refuses, open: make(map[net.Conn]bool)}
	if o.APIKey != "" {
		g.apiKeys = []string{o.APIKey}
	}
	g.Stranger = Pair{filepath.Join(dir, "stranger.pem"), filepath.Join(dir, "stranger.key")}
	writePEM(tb, g.CA, "CERTIFICATE", own.certificate.Raw)
	writePair(tb, known, g.Cert, g.Key)
	writePair(tb, stranger, g.Stranger.Cert, g.Stranger.Key)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g.address = listener.Addr().String()
	plain := new(http.Protocols)
	plain.SetUnencryptedHTTP2(true)
	way := &http.Transport{Protocols: plain}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	proxy.Transport, proxy.FlushInterval = way, -1
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		refuse(w, "14", err.Error()) // UNAVAILABLE
	}
	encrypted := new(http.Protocols)
	encrypted.SetHTTP2(true)
	s := &http.Server{Handler: g.guard(proxy), Protocols: encrypted, ErrorLog: log.New(io.Discard, "", 0)} // handshakes that fail
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS12}
	if o.Certificates {
		s.TLSConfig.ClientAuth, s.TLSConfig.ClientCAs = tls.RequireAndVerifyClientCert, own.pool()
	}
	s.ConnState = g.note
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.ServeTLS(listener, "", "") }) // it ends with Close
	tb.Cleanup(func() {
		s.Close()
		serving.Wait()
		way.CloseIdleConnections()
	})
	return g
}

// Address is where clients connect.
func (g *Gateway) Address() string { return g.address }

// SetAPIKeys replaces the keys, as an operator does. All of them are good.
func (g *Gateway) SetAPIKeys(keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.apiKeys = keys
}

// Passed is how many calls were let through.
func (g *Gateway) Passed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed
}

// HangUp ends all connections, as a gateway does that is started again.
func (g *Gateway) HangUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.Close()
	}
}

func (g *Gateway) note(c net.Conn, s http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s == http.StateNew {
		g.open[c] = true
	} else if s == http.StateClosed {
		delete(g.open, c)
	}
}

// guard lets through who has the key. It answers in the words of Temporal's own authorizer.
func (g *Gateway) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		allowed := len(g.apiKeys) == 0 || slices.Contains(g.apiKeys, key)
		if allowed {
			g.passed++
		}
		g.mu.Unlock()
		if !allowed {
			refuse(w, "7", "Request unauthorized.") // PERMISSION_DENIED
			return
		}
		if g.refuses != nil {
			if status, message := g.refuses(path.Base(r.URL.Path)); status != "" {
				refuse(w, status, message)
				return
			}
		}
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	})
}

// refuse is a gRPC answer that holds a status alone.
func refuse(w http.ResponseWriter, status, message string) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", status)
	w.Header().Set("Grpc-Message", url.PathEscape(message))
	w.WriteHeader(http.StatusOK)
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB) authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return authority{sign(tb, template, template, &key.PublicKey, key), key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.certificate)
	return p
}

// issue makes a certificate for this host.
func (a authority) issue(tb testing.TB, name string, usage x509.ExtKeyUsage) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{usage}, KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	c := sign(tb, template, a.certificate, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func sign(tb testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func writePair(tb testing.TB, c tls.Certificate, cert, key string) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	writePEM(tb, cert, "CERTIFICATE", c.Certificate[0])
	writePEM(tb, key, "PRIVATE KEY", der)
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
}
