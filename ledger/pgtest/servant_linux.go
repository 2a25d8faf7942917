package pgtest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is who the server runs as where the tests run as root, which Postgres refuses.
func account() (uid, gid int, other bool, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	u, err := user.Lookup("postgres") // made by Debian's package
	if err != nil {
		return 0, 0, false, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, false, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, true, err
}

// giveAway makes dir the server's.
func giveAway(dir string) error {
	uid, gid, other, err := account()
	if err != nil || !other {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// servant is a process that ends with this one, however this one ends.
func servant() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if uid, gid, other, err := account(); err == nil && other {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attr
}
