package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Names of the weights, as transformers writes them.
const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// ErrNoWeights is returned for a repository that holds no model this program can read.
var ErrNoWeights = errors.New("no weights that can be read")

// texts are the files beside the weights that a model of the Llama family may need.
var texts = []string{
	configFile, "generation_config.json",
	"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
	"chat_template*",
}

// entry is a file of a repository as the Hub lists it.
type entry struct {
	Path string
	Size int64  // -1 if the server did not say
	Sum  digest // the zero digest if the server did not say
}

// textFiles are the files beside the weights, the index of sharded weights among them.
func textFiles(all []entry) []entry {
	var out []entry
	for _, f := range all {
		needed := f.Path == indexFile && !has(all, weightsFile)
		for _, pattern := range texts {
			if ok, _ := path.Match(pattern, f.Path); ok { // the patterns are constants
				needed = true
			}
		}
		if needed && plain(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

// weightFiles are model.safetensors, or the shards that an index names. Other formats, and
// copies of the weights for other programs, are left where they are.
func weightFiles(all []entry, index []byte) ([]entry, error) {
	wanted := []string{weightsFile}
	if !has(all, weightsFile) {
		var err error
		if wanted, err = shards(index); err != nil {
			return nil, err
		}
	}
	var out []entry
	for _, name := range wanted {
		i := slices.IndexFunc(all, func(f entry) bool { return f.Path == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s names %s, which the repository does not have", ErrNoWeights, indexFile, name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// readable tells early whether a repository can be a model.
func readable(n Name, all []entry) error {
	if !has(all, configFile) {
		return fmt.Errorf("%w: %s has no %s; it is no transformers model", ErrNoWeights, n, configFile)
	}
	if has(all, weightsFile) || has(all, indexFile) {
		return nil
	}
	var others []string
	for _, f := range all {
		switch path.Ext(f.Path) {
		case ".safetensors", ".gguf", ".bin", ".pth", ".pt", ".h5", ".msgpack":
			others = append(others, f.Path)
		}
	}
	if len(others) > 3 {
		others = append(others[:3], "…")
	}
	return fmt.Errorf("%w: %s has no %s (it has: %s); choose a repository of the same model with safetensors weights", ErrNoWeights, n, weightsFile, strings.Join(others, ", "))
}

// shards are the files that an index names, sorted.
func shards(index []byte) ([]string, error) {
	var x struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &x); err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	var out []string
	for tensor, name := range x.WeightMap {
		if !plain(name) || path.Ext(name) != ".safetensors" {
			return nil, fmt.Errorf("%s: tensor %q is in %q, which is no name of a safetensors file", indexFile, tensor, name)
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no weight_map", indexFile)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// lacks is the first file that a model directory needs and does not have, or "".
func lacks(dir string) (string, error) {
	wanted := []string{weightsFile}
	if !exists(filepath.Join(dir, weightsFile)) {
		index, err := os.ReadFile(filepath.Join(dir, indexFile))
		switch {
		case err == nil:
			if wanted, err = shards(index); err != nil {
				return "", fmt.Errorf("model cache: %s: %w", dir, err)
			}
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("model cache: %w", err)
		}
	}
	for _, name := range append([]string{configFile}, wanted...) {
		if !exists(filepath.Join(dir, name)) {
			return name, nil
		}
	}
	return "", nil
}

// plain tells whether a name is one file at the top of a repository.
func plain(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, `/\:`)
}

func has(all []entry, name string) bool {
	return slices.ContainsFunc(all, func(f entry) bool { return f.Path == name })
}

// exists tells whether there are bytes: a link to a blob that is gone is not a file.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
