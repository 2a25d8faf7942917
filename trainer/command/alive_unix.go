//go:build unix

package command

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// aliveFile is locked while anything lives that was started for an attempt.
const aliveFile = "alive"

// takeAlive locks the attempt for a process that inherits the file: the lock lasts until the
// last of its holders has ended.
func takeAlive(a *attempt) (*os.File, error) {
	f, err := os.OpenFile(a.path(aliveFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: f.Name(), Err: err}, f.Close())
	}
	return f, nil
}

// alive tells whether anything holds the attempt's lock.
func alive(a *attempt) (bool, error) {
	f, err := os.OpenFile(a.path(aliveFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return false, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return true, nil
		case !errors.Is(err, unix.EINTR):
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}
