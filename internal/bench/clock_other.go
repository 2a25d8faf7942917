//go:build !unix

package main

import (
	"os"
	"time"
)

var began = time.Now()

// clock is the wall's, in seconds.
func clock() float64 { return time.Since(began).Seconds() }

// peakMiB is not known here.
func peakMiB(*os.ProcessState) float64 { return 0 }
