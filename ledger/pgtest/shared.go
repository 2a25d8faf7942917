package pgtest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

var shared = struct {
	sync.Mutex
	cluster *Cluster
	err     error
}{}

// Shared is one cluster for all tests of a package, started by the first that asks; a test
// that wants to stop it makes its own with Start. The package's TestMain calls [Main]. Where
// no server is installed the test is skipped.
func Shared(tb testing.TB) *Cluster {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = New()
	}
	return usable(tb, shared.cluster, shared.err)
}

// Main runs a package's tests and ends the cluster that they shared; its TestMain is that.
func Main(m *testing.M) {
	code := m.Run()
	if err := done(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func done() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		return nil
	}
	return shared.cluster.Close()
}

// Start is a cluster of one test, closed at its end.
func Start(tb testing.TB, settings ...string) *Cluster {
	tb.Helper()
	c, err := New(settings...)
	usable(tb, c, err)
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func usable(tb testing.TB, c *Cluster, err error) *Cluster {
	tb.Helper()
	if errors.Is(err, ErrNotInstalled) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
