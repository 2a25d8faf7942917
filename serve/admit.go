package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// keys are API keys as digests, so that comparing takes the same time for all.
type keys [][sha256.Size]byte

func newKeys(plain []string) (k keys) {
	for _, p := range plain {
		k = append(k, sha256.Sum256([]byte(p)))
	}
	return k
}

func (k keys) needed() bool { return len(k) > 0 }

func (k keys) hold(plain string) bool {
	d := sha256.Sum256([]byte(plain))
	found := 0
	for i := range k {
		found |= subtle.ConstantTimeCompare(k[i][:], d[:])
	}
	return found == 1
}

// admit says whether a request may be answered at all: it has the key, or there is none and
// it is meant for this machine.
func (s *Server) admit(r *http.Request) error {
	if s.keys.needed() {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !s.keys.hold(strings.TrimSpace(key)) {
			return &failure{status: http.StatusUnauthorized, code: "invalid_api_key", message: "this server wants an API key: send the header Authorization: Bearer KEY"}
		}
		return nil
	}
	// A page whose name was made to point here (DNS rebinding) shows itself by the name.
	if !localName(r.Host) {
		return &failure{status: http.StatusForbidden, code: "foreign_host", message: "without an API key this server answers to localhost and loopback addresses only, not to " + r.Host}
	}
	return nil
}

func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// places counts the sequences in flight.
type places struct {
	limit int64
	taken atomic.Int64
}

// take reserves n places until give; the error is 429.
func (p *places) take(n int) error {
	if p.taken.Add(int64(n)) <= p.limit {
		return nil
	}
	p.taken.Add(int64(-n))
	return &failure{status: http.StatusTooManyRequests, code: "overloaded", message: "all places of the server are taken; try again in a moment", retry: time.Second}
}

func (p *places) give(n int) { p.taken.Add(int64(-n)) }
