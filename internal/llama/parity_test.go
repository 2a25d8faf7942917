package llama

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/optim"
)

// fixture is what testdata/parity/gen.py froze of PyTorch.
type fixture struct {
	Torch     string
	Config    Config
	Sequences []Sequence
	Weights   map[string]floats
	Logits    []floats
	Loss      float64
	Gradients map[string]floats
	Losses    []float64
	Final     map[string]floats
}

type floats []float32

func (f *floats) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	*f = make(floats, len(raw)/4)
	for i := range *f {
		(*f)[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}

func loadFixture(t testing.TB, name string) (fixture, *Model) {
	t.Helper()
	data, err := os.ReadFile("testdata/parity/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	m, err := NewModel(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		if copy(p.Data, f.Weights[p.Name]) != len(p.Data) {
			t.Fatalf("fixture %s lacks %s", name, p.Name)
		}
	}
	return f, m
}

// relative is |got-want| / |want| over all elements.
func relative(got, want []float32) float64 {
	var d, n float64
	for i := range want {
		x, y := float64(got[i]), float64(want[i])
		d += (x - y) * (x - y)
		n += y * y
	}
	return math.Sqrt(d / (n + 1e-30))
}

// tolerance is the relative error the issue allows; the log says what is reached.
const tolerance = 1e-4

func TestParityWithPyTorch(t *testing.T) {
	for _, name := range []string{"untied", "tied"} {
		t.Run(name, func(t *testing.T) {
			f, m := loadFixture(t, name)
			pool := kernel.NewPool(2)
			defer pool.Close()
			tr := NewTrainer(m, pool)
			n := Predictions(f.Sequences)
			sum, k, err := tr.Accumulate(f.Sequences, 1/float64(n))
			if err != nil {
				t.Fatal(err)
			}
			if k != n {
				t.Fatalf("%d predictions, want %d", k, n)
			}
			check := func(what string, err float64) float64 {
				if !(err <= tolerance) {
					t.Errorf("%s: relative error %.2g", what, err)
				}
				return err
			}
			loss := check("loss", math.Abs(sum/float64(n)-f.Loss)/f.Loss)
			worst := 0.0
			for _, p := range tr.Gradient().Params() {
				worst = max(worst, check("gradient of "+p.Name, relative(p.Data, f.Gradients[p.Name])))
			}

			opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, MaxNorm: 0.5}, tensorsOf(tr))
			steps := 0.0
			for i, want := range f.Losses {
				tr.ZeroGradient()
				sum, _, err := tr.Accumulate(f.Sequences, 1/float64(n))
				if err != nil {
					t.Fatal(err)
				}
				steps = max(steps, check(fmt.Sprintf("loss of step %d", i+1), math.Abs(sum/float64(n)-want)/want))
				if _, err := opt.Step(pool, 3e-3); err != nil {
					t.Fatal(err)
				}
			}
			final := 0.0
			for _, p := range m.Params() {
				final = max(final, check("final "+p.Name, relative(p.Data, f.Final[p.Name])))
			}
			t.Logf("relative errors against PyTorch %s: loss %.1e, gradients %.1e, losses of ten AdamW steps %.1e, final weights %.1e", f.Torch, loss, worst, steps, final)
		})
	}
}
