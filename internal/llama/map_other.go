//go:build !unix

package llama

import "io/fs"

// mapFile is a file's contents.
func mapFile(dir fs.FS, name string) (data []byte, unmap func() error, err error) {
	return readFile(dir, name)
}
