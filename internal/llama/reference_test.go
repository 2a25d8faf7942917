package llama

import "math"

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

// rotate turns the pairs (i, i+HD/2) of one head by pos * theta^(-2i/HD).
func (r *reference) rotate(x []float64, pos int) {
	half := r.c.HeadDim / 2
	for i := range half {
		angle := float64(pos) * math.Pow(r.c.RopeTheta, -2*float64(i)/float64(r.c.HeadDim))
		a, b := x[i], x[i+half]
		x[i], x[i+half] = a*math.Cos(angle)-b*math.Sin(angle), b*math.Cos(angle)+a*math.Sin(angle)
	}
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
		keys, values := make([][]float64, len(tokens)), make([][]float64, len(tokens))
		for t := range tokens {
			h := r.norm(x[t], w("input_layernorm"))
			q := linear(w("self_attn.q_proj"), h)
			keys[t], values[t] = linear(w("self_attn.k_proj"), h), linear(w("self_attn.v_proj"), h)
			for head := range c.NumKeyValueHeads {
				r.rotate(keys[t][head*hd:][:hd], t)
			}
			out := make([]float64, len(q))
			for head := range c.NumAttentionHeads {
				from := head / group * hd // columns of the key/value head that this head shares
				query := q[head*hd:][:hd]
				r.rotate(query, t)
				p, sum := make([]float64, t+1), 0.0
				for s := range p {
					for i := range hd {
						p[s] += query[i] * keys[s][from+i]
					}
					p[s] = math.Exp(p[s] / math.Sqrt(float64(hd)))
					sum += p[s]
				}
				for s := range p {
					for i := range hd {
						out[head*hd+i] += p[s] / sum * values[s][from+i]
					}
				}
			}
			addTo(x[t], linear(w("self_attn.o_proj"), out))
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
