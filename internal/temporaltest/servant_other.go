//go:build !linux

package temporaltest

import "syscall"

func servant() *syscall.SysProcAttr { return nil }
