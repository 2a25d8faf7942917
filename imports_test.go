package stargate_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rank orders the packages: a package imports only packages of lower rank
// (ARCHITECTURE.md). Tests may import upwards.
var rank = map[string]int{
	"internal/kernel": 0, "internal/jinja": 0, "lm": 0, "prompt": 0, "experiment": 0, "hub": 0, "hub/hubtest": 0, "ledger/pgtest": 0, "ledger/shard": 5,
	"internal/llama": 1, "internal/optim": 1, "internal/sample": 1, "internal/tokenizer": 1, "internal/safetensors": 1, "internal/gguf": 1, "internal/chattemplate": 1, "internal/lora": 1, "ledger": 1, "lm/lmtest": 1,
	"lm/remote/failure": 0, "lm/remote/fleet": 1, "internal/simserver": 1, "internal/temporaltest": 1, "internal/simserver/cmd": 2,
	"lm/trainset": 1, "trainer/trainlog": 1, "trainer": 2, "trainer/embedded": 3, "trainer/command": 3, "trainer/tinker": 3, "trainer/tinker/tinkertest": 3,
	"lm/local": 2, "lm/remote": 3, "nano": 3, "internal/compat": 4,
	"": 4, "internal/bench": 5,
	"telemetry": 5, "export/readback": 3, "export": 4, "export/exporttest": 4, "export/selection": 5,
	"dataset": 5, "eval": 5, "eval/judge": 5, "eval/gate": 6, "eval/rating": 6, "eval/reply": 0, "eval/clarify": 1, "eval/stats": 0,
	"dataset/batch/batchtest": 0, "dataset/batch": 5, "dataset/build": 6, "plan": 6,
	"report": 6, "runner": 7, "serve": 7, "runner/cluster": 8,
	"cmd/stargate": 9,
}

// within lets packages of one rank see each other where the order is plain.
var within = map[string]bool{"internal/optim→internal/llama": false, "internal/llama→internal/optim": true, "internal/llama→internal/safetensors": true, "internal/gguf→internal/safetensors": true, "internal/lora→internal/safetensors": true, "prompt→lm": true, "eval→eval/judge": true}

func TestImportLaw(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil { // a module of its own
				return filepath.SkipDir
			}
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "avogen" || d.Name() == "node_modules" || (strings.HasPrefix(d.Name(), ".") && path != ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		mine, ok := rank[pkg]
		if !ok {
			t.Errorf("package %q has no rank: add it to this table and to ARCHITECTURE.md", pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			rel, ours := strings.CutPrefix(name, "stargate")
			if !ours {
				continue
			}
			rel = strings.TrimPrefix(rel, "/")
			theirs, ok := rank[rel]
			if !ok {
				t.Errorf("%s imports %q, which has no rank", path, name)
			} else if theirs >= mine && !within[pkg+"→"+rel] {
				t.Errorf("%s (rank %d) imports %q (rank %d)", path, mine, name, theirs)
			}
			if pkg == "" && rel != "lm" && rel != "prompt" {
				t.Errorf("%s: the root imports only lm and prompt, not %q", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
