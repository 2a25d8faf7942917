//go:build !unix

package command

import (
	"errors"
	"os"
)

var errNoUnix = errors.New("the command trainer needs a Unix system: train with the embedded engine or a Tinker server")

func takeAlive(*attempt) (*os.File, error) { return nil, errNoUnix }

func alive(*attempt) (bool, error) { return false, errNoUnix }
