package safetensors

import (
	"bytes"
	"errors"
	"math"
	"slices"
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
		"short":    {1, 2},
		"huge":     {255, 255, 255, 255, 255, 255, 255, 255, 1},
		"not json": header("nonsense"),
		"outside":  header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`),
		"negative": header(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[-1,-1]}}`),
		"size":     append(header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`), 0, 0, 0, 0),
		"overlap":  append(header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), 0, 0, 0, 0),
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
		for _, n := range file.Names() {
			if _, _, err := file.Float32(n); err != nil {
				t.Log(err)
			}
		}
	})
}
