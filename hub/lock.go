package hub

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// lock waits until no other pull, of this program or of the Hub's Python client, writes the
// blob. The lock file stays: removing it would let two hold what they take for one lock.
func lock(ctx context.Context, path string, log *slog.Logger) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o664)
	if err != nil {
		return nil, err
	}
	began, told := time.Now(), false
	for {
		ok, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if ok {
			return func() error { return errors.Join(unlockFile(f), f.Close()) }, nil
		}
		if !told && time.Since(began) > time.Second {
			told = true
			log.Info("waiting for another pull of the same file", "lock", path)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
