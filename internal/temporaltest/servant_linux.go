package temporaltest

import "syscall"

// servant is a process that ends with the thread that started it, however that ends.
func servant() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
