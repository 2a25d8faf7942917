//go:build unix

package llama

import (
	"fmt"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile is a file's contents, mapped read-only where dir is a directory on disk and else read.
// They must not be used after unmap, and the file must not be made shorter before.
func mapFile(dir fs.FS, name string) (data []byte, unmap func() error, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // read only; a mapping outlives it
	file, ok := f.(*os.File)
	if !ok {
		return readFile(dir, name)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := info.Size()
	if size == 0 || size > math.MaxInt || !info.Mode().IsRegular() {
		return readFile(dir, name)
	}
	data, err = unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", name, err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
