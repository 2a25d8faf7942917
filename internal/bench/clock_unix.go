//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

var began = time.Now()

// clock is in seconds: the wall's, or what the processor has spent on this process.
func clock() float64 {
	if !processorTime() {
		return time.Since(began).Seconds()
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Since(began).Seconds()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peakMiB is the most memory that a finished process has held.
func peakMiB(p *os.ProcessState) float64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss) / (1 << 20)
	}
	return float64(u.Maxrss) / (1 << 10)
}
