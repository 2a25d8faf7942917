package ledger

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// giveUp lets a connection end when what was sent is not acknowledged for a minute: without
// it, a host that is cut off waits a quarter of an hour, and keepalive does not count while
// something is on its way.
func giveUp(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	control := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(time.Minute.Milliseconds()))
	})
	if control != nil {
		return control
	}
	return err
}
