package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"stargate/ledger/shard"
)

// FetchReport brings the files of a report that a worker published to the directory of the
// run. store is that of all runs. Without a store it does nothing: the worker wrote them to
// its own directory.
func FetchReport(ctx context.Context, store, dir string, r Reported) (err error) {
	if store == "" {
		return nil
	}
	at, err := Storage{Store: store}.of(filepath.Base(dir))
	if err != nil {
		return err
	}
	s, err := shard.Open(ctx, at.Store)
	if err != nil {
		return err
	}
	defer s.Close() // only read
	fetched := filepath.Join(dir, "report"+temporarySuffix)
	if err := os.RemoveAll(fetched); err != nil {
		return err
	}
	if err := s.FetchDirectory(ctx, r.Place, fetched); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, f := range reportFiles {
		if err := os.Rename(filepath.Join(fetched, f), filepath.Join(dir, f)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return os.RemoveAll(fetched)
}
