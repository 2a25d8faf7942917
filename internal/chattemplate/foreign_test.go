package chattemplate

import (
	"os"
	"path/filepath"
	"testing"
)

// The templates of real models, where they are at hand: testdata/gen.py DIR renders them with
// Python's Jinja.
//
//	STARGATE_TEMPLATES=DIR go test ./internal/chattemplate -run Foreign -v
func TestForeign(t *testing.T) {
	dir := os.Getenv("STARGATE_TEMPLATES")
	if dir == "" {
		t.Skip("STARGATE_TEMPLATES names no folder with the templates of models")
	}
	golden := readGolden(t, filepath.Join(dir, "golden.json"))
	exact := 0
	for name := range golden.Templates {
		ok := t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(dir, name+".jinja"))
			if err != nil {
				t.Fatal(err)
			}
			tpl, err := New(string(source), Vars{BOS: "<s>", EOS: "</s>"})
			if err != nil {
				t.Fatal(err)
			}
			golden.check(t, name, tpl)
		})
		if ok {
			exact++
		}
	}
	t.Logf("%d of %d templates render exactly", exact, len(golden.Templates))
}
