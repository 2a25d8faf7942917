package temporaltest

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
)

// A process on an island reaches this host while the cable is in.
func TestIsland(t *testing.T) {
	i := NewIsland(t)
	at := echo(t, i.Host()+":0").Addr().(*net.TCPAddr)
	reach := func() error {
		cmd := exec.Command("bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d && echo hello >&3 && read -t 5 line <&3 && test \"$line\" = hello", at.IP, at.Port))
		if err := i.Move(cmd); err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := reach(); err != nil {
		t.Fatal(err)
	}
	i.Cut(t)
	if err := reach(); err == nil {
		t.Error("the host is reached over a cable that is not plugged in")
	}
	i.Mend(t)
	if err := reach(); err != nil {
		t.Error(err)
	}
}
