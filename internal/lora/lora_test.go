package lora

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stargate/internal/kernel"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// weights are those of a model of one layer; the norm is there to be left alone.
func weights(seed uint64) []Weight {
	r := rand.New(rand.NewPCG(seed, 0))
	ws := []Weight{
		{Name: "model.embed_tokens.weight", Out: 20, In: 6},
		{Name: "model.layers.0.self_attn.q_proj.weight", Out: 9, In: 6},
		{Name: "model.layers.0.self_attn.v_proj.weight", Out: 3, In: 6},
		{Name: "model.layers.0.mlp.down_proj.weight", Out: 6, In: 13},
	}
	for i := range ws {
		ws[i].Data = random(r, ws[i].Out*ws[i].In)
	}
	return ws
}

func clone(ws []Weight) []Weight {
	out := slices.Clone(ws)
	for i := range out {
		out[i].Data = slices.Clone(out[i].Data)
	}
	return out
}

// trained is an adapter whose B is not zero any more.
func trained(t *testing.T, c Config, ws []Weight) *Adapter {
	t.Helper()
	a, err := New(c, ws, 7)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range a.Matrices {
		copy(a.Matrices[i].B, random(r, len(a.Matrices[i].B)))
	}
	return a
}

func TestANewAdapterChangesNothing(t *testing.T) {
	base := weights(1)
	a, err := New(Config{Rank: 2, Alpha: 4}, base, 7)
	if err != nil {
		t.Fatal(err)
	}
	merged := clone(weights(2))
	if err := a.Merge(pool(t, 2), merged, base); err != nil {
		t.Fatal(err)
	}
	for i, w := range merged {
		if adapted := i > 0; slices.Equal(w.Data, base[i].Data) != adapted {
			t.Errorf("%s: equal to the base %v, want %v", w.Name, !adapted, adapted)
		}
	}
	if n := a.NumParams(); n != 2*(9+6)+2*(3+6)+2*(6+13) {
		t.Errorf("%d parameters", n)
	}
}

func pool(t *testing.T, workers int) *kernel.Pool {
	p := kernel.NewPool(workers)
	t.Cleanup(p.Close)
	return p
}

// "W_0 + ΔW = W_0 + BA", scaled by alpha/r (Hu et al., section 4.1), entry by entry.
func TestMergeIsTheFormula(t *testing.T) {
	base := weights(1)
	for _, c := range []Config{{Rank: 3, Alpha: 6}, {Rank: 4, Alpha: 6, RankStabilised: true}, {Rank: 1, Alpha: 1, Targets: []string{"v_proj"}}} {
		a := trained(t, c, base)
		one, two := clone(base), clone(base)
		if err := errors.Join(a.Merge(pool(t, 1), one, base), a.Merge(pool(t, 3), two, base)); err != nil {
			t.Fatal(err)
		}
		for i, w := range base {
			if !slices.Equal(one[i].Data, two[i].Data) {
				t.Errorf("%s: workers change the merged weights", w.Name)
			}
			k := slices.IndexFunc(a.Matrices, func(m Matrix) bool { return m.Name == w.Name })
			for o := range w.Out {
				for j := range w.In {
					want := float64(w.Data[o*w.In+j])
					if k >= 0 {
						for q := range c.Rank {
							want += c.Scale() * float64(a.Matrices[k].B[o*c.Rank+q]) * float64(a.Matrices[k].A[q*w.In+j])
						}
					}
					if got := float64(one[i].Data[o*w.In+j]); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
						t.Fatalf("%s[%d, %d] is %g, want %g", w.Name, o, j, got, want)
					}
				}
			}
		}
	}
}

// The derivatives agree with differences of a function of the merged weights, Σ sin W, whose
// derivative is cos W.
func TestGradientMatchesDifferences(t *testing.T) {
	base, p := weights(1), pool(t, 2)
	a := trained(t, Config{Rank: 2, Alpha: 1}, base)
	merged := clone(base)
	value := func() float64 {
		if err := a.Merge(p, merged, base); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, w := range merged {
			for _, x := range w.Data {
				sum += math.Sin(float64(x))
			}
		}
		return sum
	}
	value()
	dW := clone(merged)
	for _, w := range dW {
		for i, x := range w.Data {
			w.Data[i] = float32(math.Cos(float64(x)))
		}
	}
	g := a.Zero()
	if err := a.Gradient(p, g, dW); err != nil {
		t.Fatal(err)
	}
	for k, m := range a.Matrices {
		for what, of := range map[string][2][]float32{"A": {m.A, g.Matrices[k].A}, "B": {m.B, g.Matrices[k].B}} {
			for i := range of[0] {
				const h = 1e-2
				x := of[0][i]
				of[0][i] = x + h
				up := value()
				of[0][i] = x - h
				down := value()
				of[0][i] = x
				if want, got := (up-down)/(2*h), float64(of[1][i]); math.Abs(got-want) > 2e-3*(1+math.Abs(want)) {
					t.Errorf("%s: d%s[%d] is %g, by differences %g", m.Name, what, i, got, want)
				}
			}
		}
	}
}

func TestFilesAreReadBack(t *testing.T) {
	base := weights(1)
	a := trained(t, Config{Rank: 2, Alpha: 4, Targets: []string{"q_proj", "down_proj"}, Base: "org/model"}, base)
	dir := files(t, a)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.Config.Rank != 2 || b.Config.Alpha != 4 || b.Config.Base != "org/model" || !slices.Equal(b.Config.Targets, a.Config.Targets) {
		t.Errorf("config %+v", b.Config)
	}
	one, two := clone(base), clone(base)
	if err := errors.Join(a.Merge(pool(t, 1), one, base), b.Merge(pool(t, 1), two, base)); err != nil {
		t.Fatal(err)
	}
	for i := range one {
		if !slices.Equal(one[i].Data, two[i].Data) {
			t.Errorf("%s differs after reading", one[i].Name)
		}
	}
}

func files(t *testing.T, a *Adapter) fstest.MapFS {
	t.Helper()
	fs, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, data := range fs {
		dir[name] = &fstest.MapFile{Data: data}
	}
	return dir
}

// The names are PEFT's: save_pretrained strips the adapter's name from
// "….q_proj.lora_A.default.weight".
func TestTensorsHavePEFTsNames(t *testing.T) {
	a := trained(t, Config{Rank: 2, Alpha: 4, Targets: []string{"v_proj"}}, weights(1))
	data := string(files(t, a)[WeightsFile].Data)
	for _, name := range []string{
		`"base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight":{"dtype":"F32","shape":[2,6]`,
		`"base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight":{"dtype":"F32","shape":[3,2]`,
	} {
		if !strings.Contains(data, name) {
			t.Errorf("no %s in %.400q", name, data)
		}
	}
}

func TestWhatCannotBeAppliedIsRefused(t *testing.T) {
	good := files(t, trained(t, Config{Rank: 2, Alpha: 4}, weights(1)))
	config := string(good[ConfigFile].Data)
	for name, c := range map[string]struct{ config, want string }{
		"dora":            {strings.Replace(config, `"use_dora": false`, `"use_dora": true`, 1), "use_dora"},
		"bias":            {strings.Replace(config, `"bias": "none"`, `"bias": "all"`, 1), "bias"},
		"saved modules":   {strings.Replace(config, `"modules_to_save": null`, `"modules_to_save": ["lm_head"]`, 1), "modules_to_save"},
		"another method":  {strings.Replace(config, `"LORA"`, `"IA3"`, 1), "IA3"},
		"rank by pattern": {strings.Replace(config, `"r": 2`, `"r": 2, "rank_pattern": {"q_proj": 8}`, 1), "rank_pattern"},
		"another rank":    {strings.Replace(config, `"r": 2`, `"r": 3`, 1), "rank 3"},
		"fewer targets":   {strings.Replace(config, `"q_proj",`, ``, 1), "q_proj"},
		"unknown target":  {strings.Replace(config, `"q_proj"`, `"c_attn"`, 1), "c_attn"},
		"no rank":         {strings.Replace(config, `"r": 2`, `"r": 0`, 1), "r is 0"},
		"a pattern":       {`{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ".*proj"}`, "pattern"},
		"no JSON":         {`{`, ConfigFile},
	} {
		dir := maps.Clone(good)
		dir[ConfigFile] = &fstest.MapFile{Data: []byte(c.config)}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestAnAdapterOfAnotherModel(t *testing.T) {
	a := trained(t, Config{Rank: 2, Alpha: 4}, weights(1))
	other := weights(1)
	other[1].Out, other[1].Data = 8, other[1].Data[:8*6]
	for name, ws := range map[string][]Weight{"shape": other, "missing": weights(1)[:2]} {
		if err := a.Check(ws); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Rank: 2, Alpha: 1, Targets: []string{"up_proj"}}, weights(1), 1); err == nil {
		t.Error("an adapter of nothing was made")
	}
}

func FuzzOpen(f *testing.F) {
	a, err := New(Config{Rank: 2, Alpha: 4}, weights(1), 7)
	if err != nil {
		f.Fatal(err)
	}
	fs, err := a.Files()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fs[ConfigFile], fs[WeightsFile])
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		a, err := Open(fstest.MapFS{ConfigFile: &fstest.MapFile{Data: config}, WeightsFile: &fstest.MapFile{Data: weights}})
		if err == nil && (a.NumParams() == 0 || a.Config.Validate() != nil) {
			t.Errorf("accepted %+v", a.Config)
		}
	})
}
