package llama

import "io/fs"

// readFile is the twin of mapFile that any file system and system has.
func readFile(dir fs.FS, name string) (data []byte, unmap func() error, err error) {
	data, err = fs.ReadFile(dir, name)
	return data, func() error { return nil }, err
}
