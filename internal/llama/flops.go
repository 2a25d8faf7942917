package llama

// Work counts the floating-point operations of a model's matrix products, a multiply-add as two:
// those of a token's way through the layers, those of a prediction, and those of attention, which
// grow with the position. Norms, rotations and activations are left out (about one in a hundred).
type Work struct {
	Layers int64 // of a token: the layers' products with weights
	Head   int64 // of a prediction

	windows []windowWork // one for each width of a window
}

// windowWork is attention in the layers that have one window.
type windowWork struct {
	window int   // 0: all keys
	perKey int64 // of a query, for each key that it sees
}

// Work is the work of a model of this configuration.
func (c Config) Work() Work {
	c = c.WithDefaults()
	d, f := int64(c.HiddenSize), int64(c.IntermediateSize)
	w := Work{
		Layers: 2 * int64(c.NumHiddenLayers) * (int64(c.qkv())*d + d*int64(c.attn()) + 3*f*d),
		Head:   2 * int64(c.VocabSize) * d,
	}
	for layer := range c.NumHiddenLayers {
		window := c.window(layer)
		i := 0
		for i < len(w.windows) && w.windows[i].window != window {
			i++
		}
		if i == len(w.windows) {
			w.windows = append(w.windows, windowWork{window: window})
		}
		w.windows[i].perKey += 4 * int64(c.attn()) // q kᵀ, and the weighted sum of values
	}
	return w
}

// Tokens is the work of the layers for the tokens at positions [from, to) of a sequence.
func (w Work) Tokens(from, to int) int64 {
	total := int64(to-from) * w.Layers
	for _, x := range w.windows {
		total += x.perKey * (keysSeen(to, x.window) - keysSeen(from, x.window))
	}
	return total
}

// keysSeen is how many keys the first n queries of a sequence see together.
func keysSeen(n, window int) int64 {
	if window == 0 || n <= window {
		return int64(n) * int64(n+1) / 2
	}
	return keysSeen(window, 0) + int64(n-window)*int64(window)
}
