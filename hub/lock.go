package hub

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lock waits until no other pull, of this program or of the Hub's Python client, writes the
// blob. The lock file stays: removing it would let two hold what they take for one lock.
func lock(ctx context.Context, path string, log *slog.Logger) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// On Unix flock(2), on Windows the first byte: what Python's filelock takes.
	file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o664))
	began, told := time.Now(), false
	for {
		ok, err := file.TryLock()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if ok {
			return file.Close, nil
		}
		if !told && time.Since(began) > time.Second {
			told = true
			log.Info("waiting for another pull of the same file", "lock", path)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
