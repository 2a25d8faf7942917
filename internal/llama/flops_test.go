package llama

import "testing"

func TestWork(t *testing.T) {
	for _, v := range variants(awkward) {
		c := v.config.WithDefaults()
		w := c.Work()
		d := int64(c.HiddenSize)
		if want := 2 * int64(c.NumHiddenLayers) * d * int64(c.qkv()+c.attn()+3*c.IntermediateSize); w.Layers != want || w.Head != 2*int64(c.VocabSize)*d {
			t.Errorf("%s: %+v, want %d for the layers", v.name, w, want)
		}
		for _, x := range [][2]int{{0, 0}, {0, 1}, {0, 90}, {3, 4}, {15, 40}, {70, 200}} {
			want := int64(x[1]-x[0]) * w.Layers
			for layer := range c.NumHiddenLayers {
				a := c.attentionShape(layer, 0)
				for pos := x[0]; pos < x[1]; pos++ {
					want += 4 * int64(c.attn()) * int64(pos+1-a.first(pos))
				}
			}
			if got := w.Tokens(x[0], x[1]); got != want {
				t.Errorf("%s: positions %v take %d, want %d", v.name, x, got, want)
			}
		}
	}
}
