package clarify

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPublished reads the published files, which are not part of this project, and counts what
// the doc comments of the readers say they hold: put them into a folder under these names and
// STARGATE_CLARIFY=folder go test -run Published ./eval/clarify
func TestPublished(t *testing.T) {
	dir := os.Getenv("STARGATE_CLARIFY")
	if dir == "" {
		t.Skip("set STARGATE_CLARIFY to a folder with the published files")
	}
	for name, c := range map[string]struct {
		format             Format
		items, ask, groups int
	}{
		"train.tsv":               {ClariQ, 187, 88, 187},
		"dev.tsv":                 {ClariQ, 50, 25, 50},
		"test_with_labels.tsv":    {ClariQ, 61, 22, 61},
		"coqa_abg_val.json":       {AbgCoQA, 1092, 130, 495},
		"coqa_abg_test.json":      {AbgCoQA, 1055, 123, 497},
		"validation.json":         {PACIFIC, 1982, 320, 277},
		"train.jsonl":             {IN3, 1261, 1012, 212},
		"test.jsonl":              {IN3, 108, 95, 48},
		"clamber_benchmark.jsonl": {CLAMBER, 3202, 1601, 3202},
	} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		items, err := Read(c.format, f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ask, groups := 0, map[string]bool{}
		for _, i := range items {
			groups[i.Group] = true
			if i.Ask {
				ask++
			}
			if i.Ask && c.format != ClariQ && i.Reference == "" {
				t.Errorf("%s: item %s is to be asked about and has no question", name, i.ID)
			}
		}
		if len(items) != c.items || ask != c.ask || len(groups) != c.groups {
			t.Errorf("%s: %d items, %d to be asked about, %d groups; want %d, %d, %d", name, len(items), ask, len(groups), c.items, c.ask, c.groups)
		}
		f.Close()
	}
}
