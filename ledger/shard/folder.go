package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
)

// openFolder reads files as objects. They are written by publishFile: gocloud's own "only
// if it does not exist" looks first and renames then, and two processes may both find
// nothing.
func openFolder(path string) (*blob.Bucket, error) {
	return fileblob.OpenBucket(path, &fileblob.Options{CreateDir: true, DirFileMode: 0o777, Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
}

// publishFile writes a file whole and on the disk, or fails with fs.ErrExist. A link to a
// name that is taken fails, whoever takes it and whenever.
func publishFile(path string, data io.Reader) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	// The system gives it the permissions of any new file, which CreateTemp would not.
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(".publish-%016x", rand.Uint64())), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if e := os.Remove(f.Name()); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	_, err = io.Copy(f, data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // has no sync of folders
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
