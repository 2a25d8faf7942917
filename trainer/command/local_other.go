//go:build !unix

package command

func newProcesses() (launcher, error) { return nil, errNoUnix }
