package llama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stargate/internal/safetensors"
)

// tensorsOfModel are what Files writes, for tests to change.
func tensorsOfModel(m *Model, dtype safetensors.DType) []safetensors.Tensor {
	var ts []safetensors.Tensor
	for _, p := range m.Params() {
		ts = append(ts, safetensors.Tensor{Name: p.Name, Shape: p.Shape, DType: dtype, Data: p.Data})
	}
	return ts
}

// directory writes a config and tensors into files: tensor i into the shard that of says.
func directory(t testing.TB, c Config, tensors []safetensors.Tensor, of func(i int) string) fstest.MapFS {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{ConfigFile: {Data: config}}
	shards, index := map[string][]safetensors.Tensor{}, map[string]string{}
	for i, x := range tensors {
		shards[of(i)] = append(shards[of(i)], x)
		index[x.Name] = of(i)
	}
	for name, ts := range shards {
		var b bytes.Buffer
		if err := safetensors.Write(&b, ts); err != nil {
			t.Fatal(err)
		}
		dir[name] = &fstest.MapFile{Data: b.Bytes()}
	}
	if dir[WeightsFile] == nil {
		setIndex(t, dir, index)
	}
	return dir
}

func setIndex(t testing.TB, dir fstest.MapFS, index map[string]string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	dir[IndexFile] = &fstest.MapFile{Data: text}
}

func one(int) string { return WeightsFile }

func three(i int) string { return fmt.Sprintf("model-%05d-of-00003.safetensors", 1+i%3) }

// One file or several, in memory or mapped from disk, in any of the types.
func TestLoadIsTheSameFromAnyFiles(t *testing.T) {
	for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
		_, m := loadFixture(t, "qwen2")
		// What was rounded to the type once is not rounded again.
		rounded, err := Load(directory(t, m.Config, tensorsOfModel(m, dtype), one))
		if err != nil {
			t.Fatal(err)
		}
		if exact := slices.Equal(rounded.Flat(), m.Flat()); exact != (dtype == safetensors.F32) {
			t.Errorf("%s: weights unchanged: %v", dtype, exact)
		}
		if e := relative(rounded.Flat(), m.Flat()); e > 3e-3 {
			t.Errorf("%s: weights change by %.1g", dtype, e)
		}
		shards := directory(t, m.Config, tensorsOfModel(rounded, dtype), three)
		disk := t.TempDir()
		for name, f := range shards {
			if err := os.WriteFile(filepath.Join(disk, name), f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for name, dir := range map[string]fs.FS{"shards": shards, "on disk": os.DirFS(disk)} {
			got, err := Load(dir)
			if err != nil {
				t.Fatalf("%s, %s: %v", dtype, name, err)
			}
			if !slices.Equal(got.Flat(), rounded.Flat()) {
				t.Errorf("%s, %s: other weights", dtype, name)
			}
		}
	}
}

// mapFile is readFile, for files of any size.
func TestMapFileIsReadFile(t *testing.T) {
	disk := t.TempDir()
	for _, size := range []int{0, 1, 4096, 10000} {
		want := bytes.Repeat([]byte{7, 1, 3}, size)[:size]
		if err := os.WriteFile(filepath.Join(disk, "x"), want, 0o644); err != nil {
			t.Fatal(err)
		}
		got, unmap, err := mapFile(os.DirFS(disk), "x")
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if err := unmap(); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := mapFile(os.DirFS(disk), "y"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestLoadIgnoresSpareTensors(t *testing.T) {
	_, m := loadFixture(t, "tied")
	spare := append(tensorsOfModel(m, safetensors.F32),
		safetensors.Tensor{Name: "lm_head.weight", Shape: []int{1}, DType: safetensors.F32, Data: make([]float32, 1)},
		safetensors.Tensor{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", Shape: []int{1}, DType: safetensors.F32, Data: make([]float32, 1)})
	got, err := Load(directory(t, m.Config, spare, one))
	if err != nil || !slices.Equal(got.Flat(), m.Flat()) {
		t.Errorf("with a second head and old frequencies: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	_, m := loadFixture(t, "qwen2")
	shard := three(1)
	for _, x := range []struct {
		name   string
		change func(dir fstest.MapFS, index map[string]string)
		want   []string
		is     error
	}{
		{"no config", func(dir fstest.MapFS, _ map[string]string) { delete(dir, ConfigFile) }, []string{ConfigFile}, fs.ErrNotExist},
		{"no weights", func(dir fstest.MapFS, _ map[string]string) { delete(dir, IndexFile) }, []string{WeightsFile, IndexFile, ".bin"}, fs.ErrNotExist},
		{"no shard", func(dir fstest.MapFS, _ map[string]string) { delete(dir, shard) }, []string{IndexFile, shard}, fs.ErrNotExist},
		{"a shard cut off", func(dir fstest.MapFS, _ map[string]string) { dir[shard].Data = dir[shard].Data[:99] }, []string{shard}, safetensors.ErrCorrupt},
		{"an empty shard", func(dir fstest.MapFS, _ map[string]string) { dir[shard].Data = nil }, []string{shard}, safetensors.ErrCorrupt},
		{"no JSON", func(dir fstest.MapFS, _ map[string]string) { dir[IndexFile].Data = []byte("<html>") }, []string{IndexFile}, nil},
		{"no map", func(dir fstest.MapFS, _ map[string]string) { dir[IndexFile].Data = []byte("{}") }, []string{IndexFile, "weight_map"}, nil},
		{"a file outside", func(dir fstest.MapFS, index map[string]string) {
			index["model.norm.weight"] = "../x"
			setIndex(t, dir, index)
		}, []string{"model.norm.weight", "../x"}, nil},
		{"another shard", func(dir fstest.MapFS, index map[string]string) {
			index["model.norm.weight"] = three(int(index["model.norm.weight"][len("model-0000")]-'1') + 1)
			setIndex(t, dir, index)
		}, []string{"model.norm.weight", "no tensor"}, nil},
		{"a tensor not in the index", func(dir fstest.MapFS, index map[string]string) {
			delete(index, "model.norm.weight")
			setIndex(t, dir, index)
		}, []string{"model.norm.weight", "does not place"}, nil},
	} {
		index := map[string]string{}
		for i, p := range m.Params() {
			index[p.Name] = three(i)
		}
		dir := directory(t, m.Config, tensorsOfModel(m, safetensors.BF16), three)
		x.change(dir, index)
		_, err := Load(dir)
		checkRefusal(t, x.name, err, x.want, x.is)
	}
}

func TestLoadRefusesTensors(t *testing.T) {
	_, m := loadFixture(t, "qwen3")
	c := m.Config
	change := func(f func(c *Config)) Config { x := c; f(&x); return x }
	whole := tensorsOfModel(m, safetensors.F16)
	for _, x := range []struct {
		name    string
		c       Config
		tensors []safetensors.Tensor
		want    []string
		is      error
	}{
		{"a layer too many", change(func(c *Config) { c.NumHiddenLayers-- }), whole, []string{"model.layers.1.input_layernorm.weight"}, ErrUnsupported},
		{"a layer missing", change(func(c *Config) { c.NumHiddenLayers++ }), whole, []string{"no tensor model.layers.2.input_layernorm.weight", ConfigFile}, nil},
		{"wider", change(func(c *Config) { c.IntermediateSize++ }), whole, []string{"model.layers.0.mlp.gate_proj.weight", "[23 20]", "[24 20]"}, nil},
		{"other heads", change(func(c *Config) { c.HeadDim = 8 }), whole, []string{"model.layers.0.self_attn.q_proj.weight", "[48 20]", "[24 20]"}, nil},
		{"norms that the family does not have", change(func(c *Config) { c.ModelType = "llama" }), whole, []string{"model.layers.0.self_attn.k_norm.weight"}, ErrUnsupported},
		{"biases that the family has", change(func(c *Config) { c.ModelType = "qwen2" }), whole, []string{"no tensor model.layers.0.self_attn.q_proj.bias"}, nil},
		{"a million layers", change(func(c *Config) { c.NumHiddenLayers = 1 << 20 }), whole, []string{ConfigFile, WeightsFile, "parameters"}, nil},
		{"a vocabulary of all numbers", change(func(c *Config) { c.VocabSize = 1<<31 - 1 }), whole, []string{ConfigFile, WeightsFile, "parameters"}, nil},
		{"no head", change(func(c *Config) { c.TieWordEmbeddings = false }), whole, []string{"no tensor lm_head.weight"}, nil},
	} {
		_, err := Load(directory(t, x.c, x.tensors, one))
		checkRefusal(t, x.name, err, x.want, x.is)
	}
	// A transposed matrix has the right number of elements.
	flipped := slices.Clone(whole)
	i := slices.IndexFunc(flipped, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, "down_proj.weight") })
	flipped[i].Shape = []int{flipped[i].Shape[1], flipped[i].Shape[0]}
	_, err := Load(directory(t, c, flipped, one))
	checkRefusal(t, "a transposed matrix", err, []string{flipped[i].Name, "[23 20]", "[20 23]"}, nil)
	// A type of another scheme.
	dir := directory(t, c, whole, one)
	dir[WeightsFile].Data = bytes.Replace(dir[WeightsFile].Data, []byte(`"dtype":"F16"`), []byte(`"dtype":"I16"`), 1)
	_, err = Load(dir)
	checkRefusal(t, "integers", err, []string{WeightsFile, "I16"}, nil)
}

func checkRefusal(t *testing.T, name string, err error, want []string, is error) {
	t.Helper()
	if err == nil || is != nil && !errors.Is(err, is) {
		t.Errorf("%s: error %v, want %v", name, err, is)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not name %s", name, err, w)
		}
	}
}

// A single file goes before an index.
func TestLoadPrefersOneFile(t *testing.T) {
	_, m := loadFixture(t, "tied")
	dir := directory(t, m.Config, tensorsOfModel(m, safetensors.F32), one)
	maps.Copy(dir, fstest.MapFS{IndexFile: {Data: []byte("broken")}})
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
}

// Whatever the files say, there is a model or an error.
func FuzzLoad(f *testing.F) {
	c := Config{ModelType: "llama", VocabSize: 3, HiddenSize: 2, IntermediateSize: 2, NumHiddenLayers: 1, NumAttentionHeads: 1, NumKeyValueHeads: 1, MaxPositionEmbeddings: 8, TieWordEmbeddings: true}
	m, err := NewModel(c)
	if err != nil {
		f.Fatal(err)
	}
	dir := directory(f, m.Config, tensorsOfModel(m, safetensors.BF16), func(int) string { return "a.safetensors" })
	f.Add(dir[ConfigFile].Data, dir[IndexFile].Data, dir["a.safetensors"].Data)
	f.Add([]byte(`{"model_type":"qwen3","rope_scaling":{"type":"yarn","factor":1e300}}`), []byte(`{"weight_map":{"a":"b"}}`), []byte{8, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, config, index, weights []byte) {
		dir := fstest.MapFS{ConfigFile: {Data: config}, IndexFile: {Data: index}, "a.safetensors": {Data: weights}}
		m, err := Load(dir)
		if (m == nil) == (err == nil) {
			t.Errorf("%v, %v", m, err)
		}
		if s, again := LoadStored(dir); (again == nil) != (err == nil) || err == nil && !slices.Equal(s.Model().Flat(), m.Flat()) && !hasNaN(m.Flat()) {
			t.Errorf("Load says %v, LoadStored %v", err, again)
		}
	})
}

func hasNaN(xs []float32) bool {
	return slices.ContainsFunc(xs, func(x float32) bool { return x != x })
}
