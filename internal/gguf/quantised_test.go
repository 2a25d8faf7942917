package gguf

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Blocks stand for what the format's definition says, bit by bit; testdata/gen.py froze it and
// compared it with ggml's own library.
func TestDecode(t *testing.T) {
	data, err := os.ReadFile("testdata/blocks.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]struct {
		Type       Type
		Data, Bits string
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden) != len(formats) {
		t.Errorf("%d types are frozen, %d are read: run testdata/gen.py", len(golden), len(formats))
	}
	for name, g := range golden {
		t.Run(name, func(t *testing.T) {
			if g.Type.String() != name {
				t.Errorf("type %d is %s", g.Type, g.Type)
			}
			blocks, want := unhex(t, g.Data), unhex(t, g.Bits)
			values, size := g.Type.block()
			got := make([]float32, len(blocks)/size*values)
			g.Type.decode(got, blocks)
			if len(want) != 4*len(got) {
				t.Fatalf("%d values, want %d", len(got), len(want)/4)
			}
			for i, v := range got {
				if w := math.Float32frombits(binary.LittleEndian.Uint32(want[4*i:])); math.Float32bits(v) != math.Float32bits(w) {
					t.Fatalf("value %d is %g, want %g", i, v, w)
				}
			}
		})
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkDecode(b *testing.B) {
	for kind, f := range formats {
		b.Run(f.name, func(b *testing.B) {
			values := make([]float32, 1<<16)
			data := make([]byte, len(values)/f.values*f.size)
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				kind.decode(values, data)
			}
		})
	}
}
