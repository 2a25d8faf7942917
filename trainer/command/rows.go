package command

import (
	"errors"
	"os"

	"stargate/lm/trainset"
)

// writeRows writes rows as every framework reads them, whole or not at all.
func writeRows(path string, rows []trainset.Row) error {
	partial := path + ".partial"
	f, err := os.Create(partial)
	if err != nil {
		return err
	}
	if err := errors.Join(trainset.WriteTokens(f, rows), f.Close()); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
