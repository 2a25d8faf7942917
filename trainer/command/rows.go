package command

import (
	"errors"
	"io"
	"os"

	"stargate/lm/trainset"
)

// writeRows writes rows in a form of package trainset, whole or not at all.
func writeRows(path string, write func(io.Writer, []trainset.Row) error, rows []trainset.Row) error {
	partial := path + ".partial"
	f, err := os.Create(partial)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f, rows), f.Close()); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
