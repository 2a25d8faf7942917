package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"stargate/internal/lora"
)

// The files of a model directory.
const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// ErrIncomplete marks a directory that is neither a model nor an adapter; the text says what
// is missing or broken.
var ErrIncomplete = errors.New("not a model that can be loaded")

// Inspect says what a directory holds: config.json with its weights in safetensors, or a PEFT
// adapter. Headers are read and held to the sizes of the files, so that a file cut short is
// found; the numbers themselves are not looked at.
func Inspect(dir string) (Kind, error) {
	_, err := os.Stat(filepath.Join(dir, lora.ConfigFile))
	switch {
	case err == nil:
		return Adapter, inspectAdapter(dir)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return Model, inspectModel(dir)
}

func inspectAdapter(dir string) error {
	var c struct {
		Type string `json:"peft_type"`
		Rank int    `json:"r"`
	}
	if err := readJSON(filepath.Join(dir, lora.ConfigFile), &c); err != nil {
		return err
	}
	if c.Type == "" || c.Rank < 1 {
		return fmt.Errorf("%w: %s has peft_type %q and r %d", ErrIncomplete, filepath.Join(dir, lora.ConfigFile), c.Type, c.Rank)
	}
	_, err := readHeader(filepath.Join(dir, lora.WeightsFile))
	return err
}

func inspectModel(dir string) error {
	var c struct {
		Type string `json:"model_type"`
	}
	if err := readJSON(filepath.Join(dir, configFile), &c); err != nil {
		return err
	}
	if c.Type == "" {
		return fmt.Errorf("%w: %s does not say its model_type", ErrIncomplete, filepath.Join(dir, configFile))
	}
	var index struct {
		Files map[string]string `json:"weight_map"`
	}
	switch err := readJSON(filepath.Join(dir, indexFile), &index); {
	case errors.Is(err, fs.ErrNotExist):
		_, err := readHeader(filepath.Join(dir, weightsFile))
		return err
	case err != nil:
		return err
	}
	tensors := map[string]bool{}
	for _, file := range slices.Compact(slices.Sorted(maps.Values(index.Files))) {
		if !filepath.IsLocal(file) {
			return fmt.Errorf("%w: %s names the file %q", ErrIncomplete, filepath.Join(dir, indexFile), file)
		}
		names, err := readHeader(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		for _, n := range names {
			tensors[n] = true
		}
	}
	for name, file := range index.Files {
		if !tensors[name] {
			return fmt.Errorf("%w: %s says that %s is in %s, but it is not", ErrIncomplete, filepath.Join(dir, indexFile), name, file)
		}
	}
	if len(tensors) == 0 {
		return fmt.Errorf("%w: %s names no tensor", ErrIncomplete, filepath.Join(dir, indexFile))
	}
	return nil
}

// mostHeader bounds what is read of a file that claims to be safetensors or JSON.
const mostHeader = 64 << 20

func readJSON(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, mostHeader)).Decode(into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrIncomplete, path, err)
	}
	return nil
}

// readHeader is the names of a safetensors file's tensors, whose data must fill the file.
func readHeader(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	defer f.Close()
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrIncomplete, path, fmt.Sprintf(format, args...))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var size [8]byte
	if _, err := io.ReadFull(f, size[:]); err != nil {
		return nil, bad("it has %d bytes, too few for safetensors", info.Size())
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > mostHeader || int64(n) > info.Size()-8 {
		return nil, bad("it has %d bytes, but its header claims %d", info.Size(), n)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(f, header); err != nil {
		return nil, err
	}
	var entries map[string]struct {
		Offsets [2]int64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(header, &entries); err != nil {
		return nil, bad("header: %v", err)
	}
	var names []string
	end := int64(0)
	for name, e := range entries {
		if name == "__metadata__" {
			continue
		}
		names = append(names, name)
		end = max(end, e.Offsets[1])
	}
	switch data := info.Size() - 8 - int64(n); {
	case len(names) == 0:
		return nil, bad("it holds no tensor")
	case data != end:
		return nil, bad("it has %d bytes of numbers, its header says %d: it was cut short or is still being written", data, end)
	}
	return names, nil
}

// Digest is the SHA-256, in hexadecimal, of all files below a directory: their names, sizes and
// contents in the order of names.
func Digest(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path) // follows links: what counts is what a loader reads
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.ToSlash(name), info.Size())
		_, err = io.Copy(h, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
