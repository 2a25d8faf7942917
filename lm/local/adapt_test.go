package local

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"stargate/internal/lora"
	"stargate/internal/safetensors"
	"stargate/lm"
)

// loraTuned is a model, and one tuned from it with LoRA.
func loraTuned(t *testing.T, o Options) (base, tuned *Model) {
	t.Helper()
	h := hyper()
	h.LearningRate = 1e-2
	h.LoRA = &lm.LoRA{Rank: 4, Alpha: 8}
	base = newTestModel(t, o)
	g, _, err := base.Tune(t.Context(), "m1", examples(16), h)
	if err != nil {
		t.Fatal(err)
	}
	tuned = g.(*Model)
	t.Cleanup(tuned.Close)
	return base, tuned
}

// A base model with an adapter beside it is the tuned model up to rounding; saved, it is the
// tuned model.
func TestAdaptIsTheTunedModel(t *testing.T) {
	base, tuned := loraTuned(t, Options{Workers: 2})
	adapted, err := base.Adapt(tuned.Adapter())
	if err != nil {
		t.Fatal(err)
	}
	defer adapted.Close()
	before := base.Digest()
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			chat := user(strings.Repeat("Help me plan thing ", 1+i%5))
			score := func(m *Model) float64 {
				l, err := m.LogProb(t.Context(), chat, "What would you like to cook?")
				if err != nil {
					t.Error(err)
				}
				return l.Sum
			}
			a, b, c := score(adapted), score(tuned), score(base)
			if math.Abs(a-b) > 1e-3 || math.Abs(a-c) < 0.1 {
				t.Errorf("chat %d: %.6f with the adapter, %.6f tuned, %.6f without", i, a, b, c)
			}
		})
	}
	wg.Wait()
	if base.computeDigest() != before || adapted.Digest() == before || adapted.Digest() == tuned.Digest() {
		t.Error("digests: the base changed, or two models that round differently have one name")
	}

	dir := filepath.Join(t.TempDir(), "merged")
	if err := adapted.Save(dir); err != nil {
		t.Fatal(err)
	}
	merged, err := OpenDir(dir, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer merged.Close()
	if merged.Digest() != tuned.Digest() {
		t.Error("saved, the adapted model is not the tuned one")
	}
	if _, err := adapted.Adapt(tuned.Adapter()); !errors.Is(err, ErrAdapted) {
		t.Errorf("a second adapter: %v", err)
	}
}

// An adapted model outlives its base, and is tuned from its merged weights.
func TestAdaptedModelStandsAlone(t *testing.T) {
	base, tuned := loraTuned(t, Options{Workers: 1})
	adapted, err := base.Adapt(tuned.Adapter())
	if err != nil {
		t.Fatal(err)
	}
	defer adapted.Close()
	base.Close()
	h := hyper()
	h.Epochs = 1
	a, _, err := adapted.Tune(t.Context(), "m2", examples(8), h)
	if err != nil {
		t.Fatal(err)
	}
	defer a.(*Model).Close()
	b, _, err := tuned.Tune(t.Context(), "m2", examples(8), h)
	if err != nil {
		t.Fatal(err)
	}
	defer b.(*Model).Close()
	if a.(*Model).Digest() != b.(*Model).Digest() {
		t.Error("tuning an adapted model is not tuning the merged one")
	}
}

// An adapter on weights that stay in their file gives the bits of one on weights in memory.
func TestAdaptStoredWeights(t *testing.T) {
	dir := savedModel(t, safetensors.BF16)
	_, tuned := loraTuned(t, Options{Workers: 1})
	scores := map[int64]float64{}
	for _, most := range []int64{0, 1} {
		base, err := OpenDir(dir, Options{Workers: 1, Float32Bytes: most})
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		adapted, err := base.OpenAdapter(adapterFiles(t, tuned.Adapter()), 4)
		if err != nil {
			t.Fatal(err)
		}
		defer adapted.Close()
		l, err := adapted.LogProb(t.Context(), user("Help me plan thing 3."), "What would you like to cook?")
		if err != nil {
			t.Fatal(err)
		}
		scores[most] = l.Sum
	}
	if scores[0] != scores[1] {
		t.Errorf("in memory %v, in the file %v", scores[0], scores[1])
	}
}

func adapterFiles(t *testing.T, a *lora.Adapter) fstest.MapFS {
	t.Helper()
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, data := range files {
		dir[name] = &fstest.MapFile{Data: data}
	}
	return dir
}

func TestOpenAdapterRefuses(t *testing.T) {
	base, tuned := loraTuned(t, Options{Workers: 1})
	open := func(change func(dir fstest.MapFS)) error {
		dir := adapterFiles(t, tuned.Adapter())
		change(dir)
		m, err := base.OpenAdapter(dir, 4)
		if err == nil {
			m.Close()
		}
		return err
	}
	if err := open(func(fstest.MapFS) {}); err != nil {
		t.Fatal(err)
	}
	other := *tuned.Adapter()
	other.Matrices = []lora.Matrix{{Name: "model.layers.7.self_attn.q_proj.weight", Out: 2, In: 3, A: make([]float32, 12), B: make([]float32, 8)}}
	bad := tuned.Adapter().Zero()
	bad.Matrices[2].B[3] = float32(math.Inf(1))
	for name, x := range map[string]struct {
		change func(dir fstest.MapFS)
		is     error
		says   string
	}{
		"no config":     {func(d fstest.MapFS) { delete(d, lora.ConfigFile) }, fs.ErrNotExist, lora.ConfigFile},
		"no weights":    {func(d fstest.MapFS) { delete(d, lora.WeightsFile) }, fs.ErrNotExist, lora.WeightsFile},
		"a long config": {func(d fstest.MapFS) { d[lora.ConfigFile].Data = make([]byte, 2<<20) }, lora.ErrUnsupported, "at most"},
		"a long file":   {func(d fstest.MapFS) { d[lora.WeightsFile].Data = make([]byte, 4<<20) }, nil, "at most"},
		"a pipe":        {func(d fstest.MapFS) { d[lora.WeightsFile].Mode = fs.ModeNamedPipe }, nil, "regular file"},
		"a high rank": {func(d fstest.MapFS) {
			d[lora.ConfigFile].Data = []byte(strings.Replace(string(d[lora.ConfigFile].Data), `"r": 4`, `"r": 5`, 1))
		}, nil, "rank is 5"},
		"another model":  {func(d fstest.MapFS) { d[lora.WeightsFile] = adapterFiles(t, &other)[lora.WeightsFile] }, lora.ErrMismatch, "layers.7"},
		"an infinite":    {func(d fstest.MapFS) { d[lora.WeightsFile] = adapterFiles(t, bad)[lora.WeightsFile] }, nil, "not finite"},
		"not a rank's B": {func(d fstest.MapFS) { d[lora.WeightsFile].Data = []byte("{}") }, nil, lora.WeightsFile},
	} {
		err := open(x.change)
		if err == nil || !strings.Contains(err.Error(), x.says) || (x.is != nil && !errors.Is(err, x.is)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
