package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tiny(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Everything a file can say; testdata/gen.py wrote it.
func TestRead(t *testing.T) {
	f, err := Read(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"general.architecture": "llama", "general.alignment": uint32(64),
		"a.uint8": uint8(255), "a.int8": int8(-1), "a.uint16": uint16(65535), "a.int16": int16(-2), "a.uint32": uint32(math.MaxUint32), "a.int32": int32(-3),
		"a.float32": float32(0.5), "a.bool": true, "a.string": "naïve 你好", "a.uint64": uint64(math.MaxUint64), "a.int64": int64(math.MinInt64), "a.float64": 0.1,
		"an.array": []string{"a", "", "c"}, "an.empty": []uint32{}, "an.int32": []int32{-1, 0, 1}, "an.float32": []float32{0, 0.25, 0.5}, "an.bool": []bool{false, true}, "an.uint8": []uint8{7},
		"nested": []any{[]uint32{1}, []string{"x"}},
	}
	if diff := cmp.Diff(want, f.Metadata); diff != "" {
		t.Error(diff)
	}
	if got := f.Names(); !slices.Equal(got, []string{"blocks", "matrix", "other", "scalar"}) {
		t.Errorf("tensors %q", got)
	}
	data, shape, err := f.Float32("matrix")
	if err != nil || !slices.Equal(data, []float32{0, 1, 2, 3, 4, 5}) || !slices.Equal(shape, []int{2, 3}) {
		t.Errorf("matrix is %v of shape %v, %v", data, shape, err)
	}
	if data, shape, err := f.Float32("scalar"); err != nil || !slices.Equal(data, []float32{1.5}) || len(shape) != 0 {
		t.Errorf("scalar is %v of shape %v, %v", data, shape, err)
	}
	if data, shape, err := f.Float32("blocks"); err != nil || len(data) != 64 || !slices.Equal(shape, []int{2, 32}) {
		t.Errorf("blocks has %d values, shape %v, %v", len(data), shape, err)
	}
	if kind, ok := f.Type("other"); !ok || kind.String() != "Q5_K" {
		t.Errorf("other is %s", kind)
	}
	for name, want := range map[string]string{"other": "other is Q5_K; F32, F16, Q4_0", "none": "no tensor none"} {
		if _, _, err := f.Float32(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := f.Decode(make([]float32, 5), "matrix"); err == nil || !strings.Contains(err.Error(), "6 elements, not 5") {
		t.Errorf("a short slice: %v", err)
	}
}

// file writes a GGUF file from parts.
type file struct {
	version         uint32
	tensors, values uint64
	rest            []any // numbers, and strings with their length
}

func (f file) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	write := func(v any) {
		if s, ok := v.(string); ok {
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(s)))
			b.WriteString(s)
			return
		}
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	for _, v := range append([]any{f.version, f.tensors, f.values}, f.rest...) {
		write(v)
	}
	return b.Bytes()
}

func TestReadErrors(t *testing.T) {
	u32, u64 := func(v uint32) any { return v }, func(v uint64) any { return v }
	tensor := func(name string, kind uint32, offset uint64, dims ...uint64) []any {
		out := []any{name, u32(uint32(len(dims)))}
		for _, d := range dims {
			out = append(out, d)
		}
		return append(out, kind, offset)
	}
	body := make([]byte, 200)
	for name, c := range map[string]struct {
		data []byte
		want string
		is   error
	}{
		"empty":        {nil, "does not begin with GGUF", ErrCorrupt},
		"magic":        {[]byte("GGML    "), "does not begin with GGUF", ErrCorrupt},
		"short":        {[]byte("GGUF"), "4 bytes are needed, 0 are left", ErrCorrupt},
		"old":          {file{version: 1}.bytes(), "version 1", ErrUnsupported},
		"big-endian":   {file{version: 3 << 24}.bytes(), "big-endian", ErrUnsupported},
		"values":       {file{version: 3, values: 1 << 60}.bytes(), "8 bytes are needed", ErrCorrupt},
		"long key":     {file{3, 0, 1, []any{u64(1 << 63)}}.bytes(), "are needed", ErrCorrupt},
		"kind":         {file{3, 0, 1, []any{"k", u32(13)}}.bytes(), "value type 13", ErrCorrupt},
		"bool":         {file{3, 0, 1, []any{"k", u32(7), uint8(2)}}.bytes(), "truth value of 2", ErrCorrupt},
		"twice":        {file{3, 0, 2, []any{"k", u32(7), uint8(1), "k", u32(7), uint8(1)}}.bytes(), `"k" is there twice`, ErrCorrupt},
		"array":        {file{3, 0, 1, []any{"k", u32(9), u32(0), u64(1 << 40)}}.bytes(), "an array of 1099511627776 values", ErrCorrupt},
		"array kind":   {file{3, 0, 1, []any{"k", u32(9), u32(99), u64(0)}}.bytes(), "value type 99", ErrCorrupt},
		"deep":         {file{3, 0, 1, append([]any{"k", u32(9)}, slices.Repeat([]any{u32(9), u64(1)}, 20)...)}.bytes(), "nested deeper", ErrCorrupt},
		"dims":         {file{3, 1, 0, tensor("t", 0, 0, 1, 1, 1, 1, 1)}.bytes(), "5 dimensions", ErrCorrupt},
		"dimension":    {file{3, 1, 0, tensor("t", 0, 0, 1<<40)}.bytes(), "dimension of 1099511627776", ErrCorrupt},
		"overflow":     {file{3, 1, 0, tensor("t", 0, 0, 1<<30, 1<<30, 1<<30)}.bytes(), "dimension", ErrCorrupt},
		"block":        {file{3, 1, 0, tensor("t", 8, 0, 33)}.bytes(), "blocks of 32, which Q8_0 has", ErrCorrupt},
		"no data":      {file{3, 1, 0, tensor("t", 0, 0, 1)}.bytes(), "it ends before", ErrCorrupt},
		"outside":      {file{3, 1, 0, append(tensor("t", 0, 0, 1000), body)}.bytes(), "tensor t: bytes 0 and 4000 more", ErrCorrupt},
		"far":          {file{3, 1, 0, append(tensor("t", 0, 1<<62, 1), body)}.bytes(), "tensor t: bytes", ErrCorrupt},
		"unaligned":    {file{3, 1, 0, append(tensor("t", 0, 4, 1), body)}.bytes(), "not aligned to 32", ErrCorrupt},
		"overlap":      {file{3, 2, 0, append(append(tensor("t", 0, 0, 9), tensor("u", 0, 32, 1)...), body)}.bytes(), "t and u overlap", ErrCorrupt},
		"same tensor":  {file{3, 2, 0, append(append(tensor("t", 0, 0, 1), tensor("t", 0, 32, 1)...), body)}.bytes(), `"t" is there twice`, ErrCorrupt},
		"alignment":    {file{3, 0, 1, []any{"general.alignment", u32(4), u32(3)}}.bytes(), "general.alignment is 3", ErrCorrupt},
		"no alignment": {file{3, 0, 1, []any{"general.alignment", u32(4), u32(0)}}.bytes(), "general.alignment is 0", ErrCorrupt},
		"its kind":     {file{3, 0, 1, []any{"general.alignment", u32(8), "x"}}.bytes(), "general.alignment is x", ErrCorrupt},
	} {
		if _, err := Read(c.data); err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if f, err := Read(file{version: 2}.bytes()); err != nil || f.Version != 2 {
		t.Errorf("version 2: %v", err)
	}
}

// Whatever is read can be used; no size in the file makes it take more memory than the file.
func FuzzRead(f *testing.F) {
	f.Add(tiny(f))
	f.Add(file{3, 0, 1, []any{"k", uint32(9), uint32(9), uint64(1), uint32(8), uint64(1), "x"}}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		for _, name := range file.Names() {
			if _, _, err := file.Float32(name); err != nil && !errors.Is(err, ErrUnsupported) {
				t.Fatal(err)
			}
		}
	})
}
