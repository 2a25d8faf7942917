//go:build !linux

package pgtest

import "syscall"

func giveAway(string) error { return nil }

func servant() *syscall.SysProcAttr { return nil }
