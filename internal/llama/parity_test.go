package llama

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
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

// fixtures are the models of testdata/parity: the switches of config.json and the families.
func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/parity/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".json"))
	}
	return names
}

// parity collects relative errors and fails on those above the tolerance.
type parity struct{ testing.TB }

func (p parity) check(what string, err float64) float64 {
	p.Helper()
	if !(err <= tolerance) {
		p.Errorf("%s: relative error %.2g", what, err)
	}
	return err
}

func TestParityWithPyTorch(t *testing.T) {
	for _, name := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			f, m := loadFixture(t, name)
			p, pool := parity{t}, kernel.NewPool(2)
			defer pool.Close()
			logits := 0.0
			for i, s := range f.Sequences {
				got := cachedLogits(t, m, s.Tokens)
				if len(got) != len(f.Logits[i]) {
					t.Fatalf("sequence %d: %d logits, want %d", i, len(got), len(f.Logits[i]))
				}
				logits = max(logits, p.check(fmt.Sprintf("logits of sequence %d", i), relative(got, f.Logits[i])))
			}

			tr := NewTrainer(m, pool)
			n := Predictions(f.Sequences)
			sum, k, err := tr.Accumulate(f.Sequences, 1/float64(n))
			if err != nil {
				t.Fatal(err)
			}
			if k != n {
				t.Fatalf("%d predictions, want %d", k, n)
			}
			loss := p.check("loss", math.Abs(sum/float64(n)-f.Loss)/f.Loss)
			worst := 0.0
			for _, g := range tr.Gradient().Params() {
				worst = max(worst, p.check("gradient of "+g.Name, relative(g.Data, f.Gradients[g.Name])))
			}
			t.Logf("relative errors against PyTorch %s: logits %.1e, loss %.1e, gradients %.1e", f.Torch, logits, loss, worst)
			if len(f.Losses) > 0 {
				p.steps(f, m, tr, pool)
			}
		})
	}
}

// steps repeats the fixture's optimiser steps.
func (p parity) steps(f fixture, m *Model, tr *Trainer, pool *kernel.Pool) {
	n := Predictions(f.Sequences)
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, MaxNorm: 0.5}, tensorsOf(tr))
	losses, final := 0.0, 0.0
	for i, want := range f.Losses {
		tr.ZeroGradient()
		sum, _, err := tr.Accumulate(f.Sequences, 1/float64(n))
		if err != nil {
			p.Fatal(err)
		}
		losses = max(losses, p.check(fmt.Sprintf("loss of step %d", i+1), math.Abs(sum/float64(n)-want)/want))
		if _, err := opt.Step(pool, 3e-3); err != nil {
			p.Fatal(err)
		}
	}
	for _, w := range m.Params() {
		final = max(final, p.check("final "+w.Name, relative(w.Data, f.Final[w.Name])))
	}
	p.Logf("losses of ten AdamW steps %.1e, final weights %.1e", losses, final)
}

// cachedLogits are the logits (len(tokens), V) after every token, read one by one.
func cachedLogits(t testing.TB, m *Model, tokens []int32) []float32 {
	d := newDecoding(t, m, 2)
	var out []float32
	for i := range tokens {
		s := d.span(0, i, tokens[i:i+1])
		s.WantLogits = true
		d.Forward([]*Span{s})
		out = append(out, s.Logits...)
	}
	return out
}
