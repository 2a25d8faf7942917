// Command compat writes what stargate makes of a model, so that Hugging Face's own
// libraries can be held to it.
//
//	go run ./internal/compat -out DIR                    the built-in model
//	go run ./internal/compat -model MODEL -out DIR       another one
//
// DIR gets the files as they are ("given"), the model as a run saves it ("saved"), and
// expected.json: the ids of some texts, the renderings of some chats, and log-probabilities
// and logits. Beside this file, hf_check.py compares transformers with it where that is
// installed (and numpy alone where not), hf_check.mjs the npm packages of Hugging Face.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate/lm/local"
	"stargate/nano"
)

func main() {
	model := flag.String("model", "", "Hugging Face `directory` (default the built-in model)")
	out := flag.String("out", "", "`directory` to make")
	flag.Parse()
	if err := write(*model, *out); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

func write(model, out string) error {
	if out == "" {
		return fmt.Errorf("-out is missing: the directory to make")
	}
	given, err := nano.ModelFS()
	if model != "" {
		given, err = os.DirFS(model), nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := copyFiles(filepath.Join(out, "given"), given); err != nil {
		return err
	}
	m, err := local.Open(given, local.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Save(filepath.Join(out, "saved")); err != nil {
		return err
	}
	e, err := expect(given)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "expected.json"), append(data, '\n'), 0o644)
}

// copyFiles copies the files of a directory, without its folders.
func copyFiles(dir string, from fs.FS) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := fs.ReadFile(from, e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
