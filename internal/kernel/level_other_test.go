//go:build !amd64

package kernel

import "testing"

// atEveryLevel runs a test with the only set of kernels there is.
func atEveryLevel(t *testing.T, test func(t *testing.T)) { t.Run(Level(), test) }
