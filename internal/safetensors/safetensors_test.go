package safetensors

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	in := []Tensor{
		{"b.weight", []int{2, 3}, F32, []float32{1, -2, 3.5, 1e-30, 0, 7}},
		{"a", []int{3}, BF16, []float32{1, -0.5, 65280}},
		{"h", []int{1, 4}, F16, []float32{1, -0.5, 65504, 6e-8}},
		{"none", []int{0}, F32, nil},
	}
	if err := Write(&b, in); err != nil {
		t.Fatal(err)
	}
	f, err := Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range in {
		got, shape, err := f.Float32(w.Name)
		if err != nil || !slices.Equal(shape, w.Shape) {
			t.Fatal(w.Name, shape, err)
		}
		for i := range w.Data {
			if math.Abs(float64(got[i]-w.Data[i])) > 1e-7 {
				t.Errorf("%s[%d] = %g, want %g", w.Name, i, got[i], w.Data[i])
			}
		}
	}
	if f.Metadata["format"] != "pt" {
		t.Error("transformers wants the metadata format: pt")
	}
}

// spread are numbers of every size, as testdata/gen.py makes them.
func spread() []float32 {
	x := make([]float32, 2048)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i) * 2654435761)
		if x[i] != x[i] {
			x[i] = 1
		}
	}
	return x
}

// The same tensors are the same bytes as numpy and PyTorch make of them, and are read back.
func TestReference(t *testing.T) {
	reference, err := os.ReadFile("testdata/reference.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	x := spread()
	if err := Write(&b, []Tensor{{"f32", []int{2, 1024}, F32, x}, {"f16", []int{2048}, F16, x}, {"bf16", []int{1, 2, 1024}, BF16, x}, {"scalar", nil, F32, []float32{0.5}}}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), reference) {
		t.Error("written bytes differ from the reference")
	}
	f, err := Read(reference)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]func(float32) float32{
		"f32": func(x float32) float32 { return x }, "f16": func(x float32) float32 { return FromF16(ToF16(x)) }, "bf16": func(x float32) float32 { return FromBF16(ToBF16(x)) },
	} {
		got, _, err := f.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if got[i] != c(x[i]) {
				t.Fatalf("%s[%d] is %g, want %g", name, i, got[i], c(x[i]))
			}
		}
	}
	if got, shape, err := f.Float32("scalar"); err != nil || len(shape) != 0 || len(got) != 1 || got[0] != 0.5 {
		t.Errorf("the scalar is %v of shape %v, %v", got, shape, err)
	}
}

func TestMetadata(t *testing.T) {
	var b bytes.Buffer
	if err := WriteMetadata(&b, nil, map[string]string{"made by": "a test", "a": "b"}); err != nil {
		t.Fatal(err)
	}
	f, err := Read(b.Bytes())
	if err != nil || len(f.Names()) != 0 || !maps.Equal(f.Metadata, map[string]string{"format": "pt", "made by": "a test", "a": "b"}) {
		t.Errorf("metadata %v, tensors %v, %v", f.Metadata, f.Names(), err)
	}
}

func TestWriteErrors(t *testing.T) {
	one := []float32{1}
	for want, tensors := range map[string][]Tensor{
		"have the name \"a\"":   {{"a", []int{1}, F32, one}, {"a", []int{1}, F32, one}},
		"the name \"__metadata": {{"__metadata__", []int{1}, F32, one}},
		"1 elements":            {{"a", []int{2}, F32, one}},
		"[-1 -1]":               {{"a", []int{-1, -1}, F32, one}},
		"type \"F8\"":           {{"a", []int{1}, "F8", one}},
	} {
		if err := Write(io.Discard, tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	full := errors.New("disk full")
	if err := Write(failing{full}, []Tensor{{"a", []int{1}, F32, one}}); !errors.Is(err, full) {
		t.Errorf("a failing writer: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestFloat32Errors(t *testing.T) {
	text := `{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`
	f, err := Read(append(append([]byte{byte(len(text)), 0, 0, 0, 0, 0, 0, 0}, text...), make([]byte, 8)...))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "a is I64", "b": "no tensor b"} {
		if _, _, err := f.Float32(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// Every half and every bfloat16 is itself after a round trip; between two of them the
// nearer wins, and the even one of equals.
func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		for _, c := range []struct {
			from func(uint16) float32
			to   func(float32) uint16
		}{{FromF16, ToF16}, {FromBF16, ToBF16}} {
			x := c.from(uint16(h))
			if x != x {
				if y := c.from(c.to(x)); y == y {
					t.Fatalf("NaN %04x becomes %g", h, y)
				}
				continue
			}
			if got := c.to(x); got != uint16(h) {
				t.Fatalf("%04x is %g, which becomes %04x", h, x, got)
			}
			next := c.from(uint16(h) + 1)
			if h&0x7fff < 0x7bff && next == next && !math.IsInf(float64(next), 0) {
				middle := float32((float64(x) + float64(next)) / 2)
				if got := c.to(middle); got != uint16(h)+uint16(h)&1 {
					t.Fatalf("between %04x and the next: %04x", h, got)
				}
			}
		}
	}
	if ToF16(65520) != 0x7c00 || ToF16(65519.9) != 0x7bff || ToF16(float32(math.Inf(-1))) != 0xfc00 {
		t.Error("overflow")
	}
}

func TestCorrupt(t *testing.T) {
	header := func(s string) []byte {
		return append([]byte{byte(len(s)), 0, 0, 0, 0, 0, 0, 0}, s...)
	}
	for name, data := range map[string][]byte{
		"short":      {1, 2},
		"huge":       {255, 255, 255, 255, 255, 255, 255, 255, 1},
		"not json":   header("nonsense"),
		"outside":    header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`),
		"negative":   header(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[-1,-1]}}`),
		"size":       append(header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`), 0, 0, 0, 0),
		"empty":      {0, 0, 0, 0, 0, 0, 0, 0},
		"spaces":     header(` {}`),
		"null":       header("null"),
		"huge shape": header(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`),
		"gap":        append(header(`{"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}`), 0, 0, 0, 0),
		"tail":       append(header(`{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}`), 0, 0, 0, 0),
		"metadata":   header(`{"__metadata__":{"a":1}}`),
		"overlap":    append(header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), 0, 0, 0, 0),
	} {
		if _, err := Read(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, []Tensor{{"a", []int{2}, F16, []float32{1, 2}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data)
		if err != nil {
			return
		}
		// What is read and can be decoded is the same when written and read again.
		var tensors []Tensor
		for _, n := range file.Names() {
			values, shape, err := file.Float32(n)
			if err != nil {
				continue // a type that is not decoded
			}
			tensors = append(tensors, Tensor{n, shape, F32, values})
		}
		var b bytes.Buffer
		if err := Write(&b, tensors); err != nil {
			t.Fatal(err)
		}
		again, err := Read(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tensors {
			got, shape, err := again.Float32(want.Name)
			same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
			if err != nil || !slices.Equal(shape, want.Shape) || !slices.EqualFunc(got, want.Data, same) {
				t.Fatalf("%s: %v", want.Name, err)
			}
		}
	})
}
