package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Work is a job's work directory, held by this process until Close.
type Work struct {
	Dir  string
	job  Job
	lock *flock.Flock
}

// The files that every trainer's work directory has; a trainer adds its own.
const (
	jobFile    = "job.json"
	resultFile = "result.json"
	lockFile   = "lock"
)

// Errors of OpenWork.
var (
	// ErrBusy: another process works on this job.
	ErrBusy = errors.New("another process works on this fine-tune")
	// ErrOtherJob: the directory belongs to a job with other settings.
	ErrOtherJob = errors.New("it belongs to another fine-tune")
)

// OpenWork takes the job's work directory, or makes it. settings are those of the trainer that
// determine the result. It fails with [ErrBusy], and with [ErrOtherJob] if the directory holds a
// job whose base, rows, hyperparameters or settings differ.
func OpenWork(j Job, settings any) (*Work, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	key, err := j.Key(settings)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(j.WorkDir())
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("work directory: %w", err)
	}
	w := &Work{Dir: dir, job: j}
	w.lock = flock.New(w.Path(lockFile)) // it ends with the process, however that ends
	switch free, err := w.lock.TryLock(); {
	case err != nil:
		return nil, errors.Join(fmt.Errorf("work directory: %w", err), w.Close())
	case !free:
		return nil, errors.Join(fmt.Errorf("%s: %w; wait for it, or end it", dir, ErrBusy), w.Close())
	}
	var before struct {
		Key string `json:"key"`
	}
	switch found, err := w.Read(jobFile, &before); {
	case err != nil:
		return nil, errors.Join(err, w.Close())
	case found && before.Key != key:
		return nil, errors.Join(fmt.Errorf("%s: %w: the base model, the rows, the hyperparameters or the trainer's settings differ; remove it to train from the beginning", dir, ErrOtherJob), w.Close())
	case !found:
		before.Key = key
		if err := w.Write(jobFile, before); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// Close lets others take the directory. Its files stay.
func (w *Work) Close() error { return w.lock.Close() }

// Path is a path in the directory.
func (w *Work) Path(elem ...string) string {
	return filepath.Join(append([]string{w.Dir}, elem...)...)
}

// Write replaces a JSON file of the directory: it is the old one or the new one, whatever
// happens, and after the return it is on disk.
func (w *Work) Write(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return ReplaceFile(w.Path(name), append(data, '\n'))
}

// Read reads a JSON file of the directory; found is false if there is none.
func (w *Work) Read(name string, into any) (found bool, err error) {
	data, err := os.ReadFile(w.Path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("%s: %w", w.Path(name), err)
	}
	return true, nil
}

// ReplaceFile writes a file so that a reader, or a reader after a crash, finds the old one or
// the new one.
func ReplaceFile(path string, data []byte) error {
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// Published is the result of an earlier call that finished this job; ok is false if there is
// none. A result whose directory is gone or was changed does not count.
func (w *Work) Published() (r Result, ok bool, err error) {
	if found, err := w.Read(resultFile, &r); !found || err != nil {
		return Result{}, false, err
	}
	r.Dir = w.job.Dir
	if _, err := os.Stat(r.Dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Result{}, false, nil
		}
		return Result{}, false, err
	}
	digest, err := Digest(r.Dir)
	if err != nil {
		return Result{}, false, err
	}
	return r, digest == r.Digest, nil
}

// Publish checks the directory that a trainer made, and moves it to the job's Dir in one step;
// r brings the log and what else is known. made must be on the same file system.
func (w *Work) Publish(made string, r Result) (Result, error) {
	var err error
	if r.Kind, err = Inspect(made); err != nil {
		return Result{}, err
	}
	if r.Digest, err = Digest(made); err != nil {
		return Result{}, err
	}
	r.Dir = w.job.Dir
	if err := w.Write(resultFile, r); err != nil {
		return Result{}, err
	}
	if err := os.RemoveAll(r.Dir); err != nil {
		return Result{}, fmt.Errorf("publish: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.Dir), 0o755); err != nil {
		return Result{}, fmt.Errorf("publish: %w", err)
	}
	if err := os.Rename(made, r.Dir); err != nil {
		return Result{}, fmt.Errorf("publish: %w", err)
	}
	return r, nil
}
