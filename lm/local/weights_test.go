package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stargate/internal/safetensors"
	"stargate/lm"
)

// savedModel writes the test's model with weights of a type.
func savedModel(t testing.TB, dtype safetensors.DType) string {
	t.Helper()
	files, err := testFiles()
	if err != nil {
		t.Fatal(err)
	}
	network, err := testWeights(t, 300).Files(dtype)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, set := range []map[string][]byte{files, network} {
		for name, data := range set {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// Weights that stay in their files answer, score, are named and are tuned as in float32.
func TestStoredWeightsChangeNothing(t *testing.T) {
	dir := savedModel(t, safetensors.BF16)
	full, err := OpenDir(dir, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	stored, err := OpenDir(dir, Options{Workers: 2, Float32Bytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	if full.weights.stored != nil || stored.weights.full != nil {
		t.Fatal("the option does not choose")
	}
	wantC, wantS := answers(t, full, 24)
	gotC, gotS := answers(t, stored, 24)
	for i := range wantC {
		if gotC[i].Text != wantC[i].Text || gotS[i].Sum != wantS[i].Sum {
			t.Fatalf("request %d: %q (%v), want %q (%v)", i, gotC[i].Text, gotS[i].Sum, wantC[i].Text, wantS[i].Sum)
		}
	}
	if full.Digest() != stored.Digest() {
		t.Error("another name for the same model")
	}
	before := stored.computeDigest()
	for _, low := range []*lm.LoRA{nil, {Rank: 2, Alpha: 4}} {
		h := hyper()
		h.Epochs, h.LoRA = 1, low
		var digests []string
		for _, m := range []*Model{full, stored} {
			g, _, err := m.Tune(t.Context(), "m1", examples(8), h)
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, g.(*Model).Digest())
			g.(*Model).Close()
		}
		if digests[0] != digests[1] || digests[0] == before {
			t.Errorf("LoRA %v: tuned to %v", low != nil, digests)
		}
	}
	if stored.computeDigest() != before {
		t.Error("tuning changed the stored model")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := stored.Save(copied); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(copied, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, want := slices.Collect(weightsOf(again)), slices.Collect(weightsOf(full)); !slices.Equal(got, want) {
		t.Error("the saved copy has other weights")
	}
}

func weightsOf(m *Model) func(yield func(float32) bool) {
	full, err := m.weights.float32(nil) // nothing to merge
	if err != nil {
		panic(err)
	}
	return slices.Values(full.Flat())
}

// A directory without weights names them either way.
func TestStoredWeightsMissing(t *testing.T) {
	dir := savedModel(t, safetensors.F16)
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{0, 1} {
		if _, err := OpenDir(dir, Options{Float32Bytes: most}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("at most %d bytes: %v", most, err)
		}
	}
}
