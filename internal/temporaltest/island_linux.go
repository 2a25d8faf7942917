package temporaltest

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
)

// Island is a network namespace for processes of a test: another host, on a cable that can
// be pulled.
type Island struct {
	name, cable string
	subnet      string
}

var islands atomic.Int64

// NewIsland makes an island, which ends with the test. Where this process may not make
// network namespaces the test is skipped.
func NewIsland(tb testing.TB) *Island {
	tb.Helper()
	n := islands.Add(1)
	i := &Island{name: fmt.Sprintf("sgt%d-%d", os.Getpid(), n), cable: fmt.Sprintf("sg%d.%d", os.Getpid(), n)}
	i.subnet = fmt.Sprintf("10.%d.%d", 64+os.Getpid()%64, 1+n%254)
	if os.Geteuid() != 0 {
		tb.Skip("network namespaces are made by root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		tb.Skip("network namespaces are made with ip (on Debian: apt-get install iproute2)")
	}
	if out, err := exec.Command("ip", "netns", "add", i.name).CombinedOutput(); err != nil {
		tb.Skipf("no network namespace can be made here: %v: %s", err, out)
	}
	tb.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", i.cable).Run() // it may have gone with the namespace
		if out, err := exec.Command("ip", "netns", "del", i.name).CombinedOutput(); err != nil {
			tb.Errorf("remove the network namespace %s: %v: %s", i.name, err, out)
		}
	})
	for _, args := range [][]string{
		{"link", "add", i.cable, "type", "veth", "peer", "name", "cable", "netns", i.name},
		{"addr", "add", i.Host() + "/24", "dev", i.cable},
		{"link", "set", i.cable, "up"},
		{"-n", i.name, "addr", "add", i.subnet + ".2/24", "dev", "cable"},
		{"-n", i.name, "link", "set", "cable", "up"},
		{"-n", i.name, "link", "set", "lo", "up"},
	} {
		i.ip(tb, args...)
	}
	return i
}

// Host is this host's address as the island sees it.
func (i *Island) Host() string { return i.subnet + ".1" }

// Move makes a command run on the island. Its process stays the command's own.
func (i *Island) Move(cmd *exec.Cmd) error {
	ip, err := exec.LookPath("ip")
	if err != nil {
		return err
	}
	cmd.Args = append([]string{"ip", "netns", "exec", i.name, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = ip
	return nil
}

// Cut pulls the cable, at the island's end: this host goes on talking to itself under the
// address that the island knows.
func (i *Island) Cut(tb testing.TB) { i.ip(tb, "-n", i.name, "link", "set", "cable", "down") }

// Mend plugs it in again.
func (i *Island) Mend(tb testing.TB) { i.ip(tb, "-n", i.name, "link", "set", "cable", "up") }

func (i *Island) ip(tb testing.TB, args ...string) {
	tb.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		tb.Fatalf("ip %v: %v: %s", args, err, out)
	}
}
