//go:build unix

package ledger_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"stargate/ledger/pgtest"
	"stargate/lm"
)

// A worker that stops for longer than its lease loses its turn; when it comes back it gets
// what was stored meanwhile.
func TestZombie(t *testing.T) {
	address := with(t, pgtest.Shared(t).Fresh(), "stargate_lease", "1s")
	zombie := startWorker(t, address, holdVariable+"=1")
	if line := <-zombie.lines; line != "made" {
		t.Fatalf("it printed %q", line)
	}
	must(t, zombie.cmd.Process.Signal(syscall.SIGSTOP))
	want, err := open(t, address).Generator("questioner", "w0", new(model)).Generate(context.Background(), ask("a"), lm.Sampling{})
	must(t, err)
	must(t, zombie.cmd.Process.Signal(syscall.SIGCONT))
	_, err = fmt.Fprintln(zombie.stdin, "too late")
	must(t, err)
	if line := <-zombie.lines; line != "given "+want.Text {
		t.Errorf("it printed %q, want the answer %q", line, want.Text)
	}
	must(t, <-zombie.done)
}
