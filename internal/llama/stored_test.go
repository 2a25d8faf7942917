package llama

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/safetensors"
)

// onDisk writes a model as shards of a type into a directory.
func onDisk(t testing.TB, m *Model, dtype safetensors.DType) fs.FS {
	t.Helper()
	disk := t.TempDir()
	for name, f := range directory(t, m.Config, tensorsOfModel(m, dtype), three) {
		if err := os.WriteFile(filepath.Join(disk, name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return os.DirFS(disk)
}

// Weights that stay in their files predict what the same weights do in float32, bit for bit.
func TestStoredIsLoaded(t *testing.T) {
	for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
		for _, v := range variants(oddConfig()) {
			m := newTestModel(t, v.config)
			for _, dir := range []fs.FS{directory(t, m.Config, tensorsOfModel(m, dtype), one), onDisk(t, m, dtype)} {
				loaded, err := Load(dir)
				if err != nil {
					t.Fatal(err)
				}
				s, err := LoadStored(dir)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(s.Model().Flat(), loaded.Flat()) {
					t.Fatalf("%s, %s: other weights", dtype, v.name)
				}
				for workers := 1; workers <= 3; workers++ {
					pool := kernel.NewPool(workers)
					a, b := newDecoding(t, loaded, workers), &decoding{NewStoredDecoder(s, pool, NewCache(m.Config, 400)), t, map[int][]Page{}}
					runtime.GC() // a mapping that nothing keeps would end here
					r := rand.New(rand.NewPCG(1, 1))
					for seq, n := range []int{1, 40, 90} {
						tokens := randomTokens(r, n+1, m.Config.VocabSize)
						var spans [2]*Span
						for i, d := range []*decoding{a, b} {
							spans[i] = d.span(seq, 0, tokens[:n])
							spans[i].Targets, spans[i].WantLogits = tokens[1:], true
							d.Forward(spans[i : i+1])
						}
						if !slices.Equal(spans[0].LogProbs, spans[1].LogProbs) || !slices.Equal(spans[0].Logits, spans[1].Logits) {
							t.Errorf("%s, %s, %d tokens, %d workers: other bits", dtype, v.name, n, workers)
						}
					}
					pool.Close()
				}
			}
		}
	}
}

func TestStoredTensorsAreTheModels(t *testing.T) {
	_, m := loadFixture(t, "qwen3_window")
	s, err := LoadStored(onDisk(t, m, safetensors.F32))
	if err != nil {
		t.Fatal(err)
	}
	want := m.Params()
	err = s.Each(func(p Param) error {
		if w := want[0]; p.Name != w.Name || p.Decay != w.Decay || !slices.Equal(p.Shape, w.Shape) || !slices.Equal(p.Data, w.Data) {
			t.Errorf("tensor %s, want %s", p.Name, w.Name)
		}
		want = want[1:]
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d tensors missing, %v", len(want), err)
	}
	stop := errors.New("stop")
	if err := s.Each(func(Param) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the function is lost: %v", err)
	}
}

func TestStoredRefuses(t *testing.T) {
	_, m := loadFixture(t, "qwen2")
	c := m.Config
	c.NumHiddenLayers++
	_, err := LoadStored(directory(t, c, tensorsOfModel(m, safetensors.BF16), three))
	checkRefusal(t, "a layer missing", err, []string{"no tensor model.layers.2.input_layernorm.weight"}, nil)
	c.NumHiddenLayers -= 2
	_, err = LoadStored(directory(t, c, tensorsOfModel(m, safetensors.BF16), three))
	checkRefusal(t, "a layer too many", err, []string{"model.layers.1."}, ErrUnsupported)
}
