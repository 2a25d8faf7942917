package llama

import (
	"fmt"
	"math"
)

// reference is the decoder as the papers write it: one row at a time, float64, no packing,
// no blocks, no fused steps. The fast paths are held to it. Parameters are looked up by
// Hugging Face's names, so that it shares no layout with the code it checks.
type reference struct {
	c Config
	w map[string][]float64
}

func newReference(m *Model) *reference {
	r := &reference{c: m.Config, w: map[string][]float64{}}
	for _, p := range m.Params() {
		wide := make([]float64, len(p.Data))
		for i, x := range p.Data {
			wide[i] = float64(x)
		}
		r.w[p.Name] = wide
	}
	if m.Config.TieWordEmbeddings {
		r.w["lm_head.weight"] = r.w["model.embed_tokens.weight"]
	}
	return r
}

// linear is W x for W (out, in).
func linear(w, x []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	for o := range y {
		for i := range x {
			y[o] += w[o*len(x)+i] * x[i]
		}
	}
	return y
}

func (r *reference) norm(x, w []float64) []float64 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(square/float64(len(x))+r.c.RMSNormEps) * w[i]
	}
	return y
}

// rotate turns the pairs (i, i+HD/2) of one head by pos times their frequency.
func (r *reference) rotate(x []float64, pos int) {
	half := r.c.HeadDim / 2
	for i := range half {
		w, m := r.frequency(i)
		angle := float64(pos) * w
		a, b := x[i], x[i+half]
		x[i], x[i+half] = m*(a*math.Cos(angle)-b*math.Sin(angle)), m*(b*math.Cos(angle)+a*math.Sin(angle))
	}
}

// frequency is theta^(-2i/HD) of pair i, scaled, and the factor of the pair's length.
func (r *reference) frequency(i int) (w, m float64) {
	theta, hd, s := r.c.RopeTheta, float64(r.c.HeadDim), r.c.RopeScaling
	w = math.Pow(theta, -2*float64(i)/hd)
	if s == nil {
		return w, 1
	}
	original := float64(s.OriginalMaxPositionEmbeddings)
	if original == 0 {
		original = float64(r.c.MaxPositionEmbeddings)
	}
	length := 2 * math.Pi / w // tokens of a full turn
	switch s.Type {
	case "linear":
		return w / s.Factor, 1
	case "llama3":
		switch {
		case length > original/s.LowFreqFactor:
			return w / s.Factor, 1
		case length < original/s.HighFreqFactor:
			return w, 1
		}
		smooth := (original/length - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
		return (1-smooth)*w/s.Factor + smooth*w, 1
	case "yarn":
		// The pair that turns n times in the original context solves theta^(-2i/HD) = 2πn/original.
		pair := func(n float64) float64 { return hd / 2 * math.Log(original/(2*math.Pi*n)) / math.Log(theta) }
		low, high := max(math.Floor(pair(32)), 0), min(math.Ceil(pair(1)), hd-1)
		slow := max(0, min(1, (float64(i)-low)/(high-low)))
		return (1-slow)*w + slow*w/s.Factor, 1 + math.Log(s.Factor)/10
	}
	return w, 1
}

// sees tells whether a layer's query at position t attends to the key at position s.
func (r *reference) sees(layer, t, s int) bool {
	w := r.c.SlidingWindow
	switch {
	case s > t:
		return false
	case w == 0 || t-s < w || r.c.ModelType == "llama":
		return true
	case r.c.ModelType == "mistral":
		return false
	}
	slides := r.c.MaxWindowLayers != nil && layer >= *r.c.MaxWindowLayers
	if len(r.c.LayerTypes) > 0 {
		slides = r.c.LayerTypes[layer] == "sliding_attention"
	}
	return !r.c.UseSlidingWindow || !slides
}

// project is linear with the projection's bias, if it has one.
func (r *reference) project(layer int, name string, x []float64) []float64 {
	y := linear(r.w[layerName(layer, name)], x)
	if bias, ok := r.w[fmt.Sprintf("model.layers.%d.%s.bias", layer, name)]; ok {
		addTo(y, bias)
	}
	return y
}

// turned is one head of queries or keys as attention compares it: normalised by Qwen3, rotated.
func (r *reference) turned(layer int, norm string, x []float64, pos int) []float64 {
	y := append([]float64(nil), x...)
	if w, ok := r.w[layerName(layer, norm)]; ok {
		y = r.norm(x, w)
	}
	r.rotate(y, pos)
	return y
}

// logits returns one row of V logits for every token.
func (r *reference) logits(tokens []int32) [][]float64 {
	c := r.c
	d, hd, group := c.HiddenSize, c.HeadDim, c.NumAttentionHeads/c.NumKeyValueHeads
	x := make([][]float64, len(tokens))
	for t, id := range tokens {
		x[t] = append([]float64(nil), r.w["model.embed_tokens.weight"][int(id)*d:][:d]...)
	}
	for layer := range c.NumHiddenLayers {
		w := func(name string) []float64 { return r.w[layerName(layer, name)] }
		keys, values := make([][][]float64, len(tokens)), make([][]float64, len(tokens))
		for t := range tokens {
			h := r.norm(x[t], w("input_layernorm"))
			q, k := r.project(layer, "self_attn.q_proj", h), r.project(layer, "self_attn.k_proj", h)
			values[t] = r.project(layer, "self_attn.v_proj", h)
			for head := range c.NumKeyValueHeads {
				keys[t] = append(keys[t], r.turned(layer, "self_attn.k_norm", k[head*hd:][:hd], t))
			}
			out := make([]float64, len(q))
			for head := range c.NumAttentionHeads {
				shared := head / group // the key/value head of this head
				query := r.turned(layer, "self_attn.q_norm", q[head*hd:][:hd], t)
				p, sum := make([]float64, t+1), 0.0
				for s := range p {
					if !r.sees(layer, t, s) {
						continue
					}
					for i := range hd {
						p[s] += query[i] * keys[s][shared][i]
					}
					p[s] = math.Exp(p[s] / math.Sqrt(float64(hd)))
					sum += p[s]
				}
				for s := range p {
					for i := range hd {
						out[head*hd+i] += p[s] / sum * values[s][shared*hd+i]
					}
				}
			}
			addTo(x[t], r.project(layer, "self_attn.o_proj", out))
			h = r.norm(x[t], w("post_attention_layernorm"))
			gate, up := linear(w("mlp.gate_proj"), h), linear(w("mlp.up_proj"), h)
			for i, g := range gate {
				up[i] *= g / (1 + math.Exp(-g))
			}
			addTo(x[t], linear(w("mlp.down_proj"), up))
		}
	}
	for t := range x {
		x[t] = linear(r.w["lm_head.weight"], r.norm(x[t], r.w["model.norm.weight"]))
	}
	return x
}

func addTo(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

// nll returns -log p of every prediction of s that carries loss, in order.
func (r *reference) nll(s Sequence) []float64 {
	var out []float64
	logits := r.logits(s.Tokens)
	for t := 1; t < len(s.Tokens); t++ {
		if !s.Loss[t] {
			continue
		}
		sum := 0.0
		for _, l := range logits[t-1] {
			sum += math.Exp(l)
		}
		out = append(out, math.Log(sum)-logits[t-1][s.Tokens[t]])
	}
	return out
}

// loss is Σ nll over all sequences.
func (r *reference) loss(seqs []Sequence) float64 {
	sum := 0.0
	for _, s := range seqs {
		for _, x := range r.nll(s) {
			sum += x
		}
	}
	return sum
}
