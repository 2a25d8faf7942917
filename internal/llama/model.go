package llama

import (
	"fmt"
	"math/rand/v2"
)

// Model is a decoder's weights in float32. All matrices are row-major [out, in], as
// Hugging Face stores them.
//
// The query, key and value projections of a layer are adjacent rows of one matrix, and so
// are the gate and up projections, so that each pair is one matrix product; [Model.Params]
// names the parts as Hugging Face does.
//
// Letters used throughout the package: V vocabulary, D hidden size, L layers, H attention
// heads, HK key/value heads, HD head dimension, F feed-forward width, T tokens.
type Model struct {
	Config Config
	Embed  []float32 // (V, D)
	Layers []Layer
	Norm   []float32 // (D)
	Head   []float32 // (V, D); the same memory as Embed when tied
	flat   []float32 // all of the above, one allocation
}

// Layer is one decoder block.
type Layer struct {
	AttnNorm []float32 // (D)
	QKV      []float32 // ((H+2*HK)*HD, D)
	QKVBias  []float32 // ((H+2*HK)*HD), or nil: see Config.AttentionBias
	QNorm    []float32 // (HD), or nil: Qwen3's norms of each head
	KNorm    []float32 // (HD), or nil
	Out      []float32 // (D, H*HD)
	OutBias  []float32 // (D), or nil
	MLPNorm  []float32 // (D)
	GateUp   []float32 // (2*F, D)
	Down     []float32 // (D, F)
}

// Param is a named view of part of a model: the one table that drives initialisation,
// loading, saving, gradients and the optimiser.
type Param struct {
	Name  string // Hugging Face's name
	Shape []int
	Data  []float32 // view into the model; do not append
	Decay bool      // weight decay applies (matrices, not norms and biases)
	start float32   // of vectors before training: 1 of norms, 0 of biases
}

// align keeps every tensor on a 64-byte boundary of the flat allocation.
const align = 16

// The names of the matrices that belong to no layer.
const (
	embedName = "model.embed_tokens.weight"
	headName  = "lm_head.weight"
)

// NewModel allocates a model of zeros, with norms of ones. It fails on an invalid config.
func NewModel(c Config) (*Model, error) { return newModel(c, true) }

// newModel is NewModel, or without matrices only the rest of it: Params has no data for them.
func newModel(c Config, matrices bool) (*Model, error) {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Config: c, Layers: make([]Layer, c.NumHiddenLayers)}
	d, f := c.HiddenSize, c.IntermediateSize
	size := 0
	count := func(dst *[]float32, n int) { size += (n + align - 1) / align * align }
	take := func(dst *[]float32, n int) {
		*dst = m.flat[size : size+n : size+n]
		size += (n + align - 1) / align * align
	}
	qkvBias, outBias, qkNorm := c.hasQKVBias(), c.hasOutBias(), c.family().qkNorm
	layout := func(place func(dst *[]float32, n int)) {
		size = 0
		matrix := func(dst *[]float32, n int) {
			if matrices {
				place(dst, n)
			}
		}
		matrix(&m.Embed, c.VocabSize*d)
		for i := range m.Layers {
			l := &m.Layers[i]
			place(&l.AttnNorm, d)
			matrix(&l.QKV, c.qkv()*d)
			if qkvBias {
				place(&l.QKVBias, c.qkv())
			}
			if qkNorm {
				place(&l.QNorm, c.HeadDim)
				place(&l.KNorm, c.HeadDim)
			}
			matrix(&l.Out, d*c.attn())
			if outBias {
				place(&l.OutBias, d)
			}
			place(&l.MLPNorm, d)
			matrix(&l.GateUp, 2*f*d)
			matrix(&l.Down, d*f)
		}
		place(&m.Norm, d)
		if !c.TieWordEmbeddings {
			matrix(&m.Head, c.VocabSize*d)
		}
	}
	layout(count)
	m.flat = make([]float32, size)
	layout(take)
	if c.TieWordEmbeddings {
		m.Head = m.Embed
	}
	for _, p := range m.Params() {
		if p.start == 0 { // as allocated; untouched pages cost nothing yet
			continue
		}
		for i := range p.Data {
			p.Data[i] = p.start
		}
	}
	return m, nil
}

// Flat is all parameters (and the zero padding between tensors) as one slice, in the order
// of Params. Gradients and optimiser moments use the same layout.
func (m *Model) Flat() []float32 { return m.flat }

// Params lists the tensors under Hugging Face's names, in memory order.
func (m *Model) Params() []Param {
	c := m.Config
	d, f, q, kv := c.HiddenSize, c.IntermediateSize, c.attn(), c.NumKeyValueHeads*c.HeadDim
	var ps []Param
	matrix := func(name string, whole []float32, row, out, in int) {
		p := Param{Name: name, Shape: []int{out, in}, Decay: true}
		if whole != nil {
			p.Data = whole[row*in : (row+out)*in : (row+out)*in]
		}
		ps = append(ps, p)
	}
	norm := func(name string, data []float32) {
		if data != nil {
			ps = append(ps, Param{Name: name, Shape: []int{len(data)}, Data: data, start: 1})
		}
	}
	bias := func(name string, whole []float32, from, n int) {
		if whole != nil {
			ps = append(ps, Param{Name: name, Shape: []int{n}, Data: whole[from : from+n : from+n]})
		}
	}
	matrix(embedName, m.Embed, 0, c.VocabSize, d)
	for i := range m.Layers {
		l, p := &m.Layers[i], fmt.Sprintf("model.layers.%d.", i)
		norm(p+"input_layernorm.weight", l.AttnNorm)
		matrix(p+"self_attn.q_proj.weight", l.QKV, 0, q, d)
		matrix(p+"self_attn.k_proj.weight", l.QKV, q, kv, d)
		matrix(p+"self_attn.v_proj.weight", l.QKV, q+kv, kv, d)
		bias(p+"self_attn.q_proj.bias", l.QKVBias, 0, q)
		bias(p+"self_attn.k_proj.bias", l.QKVBias, q, kv)
		bias(p+"self_attn.v_proj.bias", l.QKVBias, q+kv, kv)
		norm(p+"self_attn.q_norm.weight", l.QNorm)
		norm(p+"self_attn.k_norm.weight", l.KNorm)
		matrix(p+"self_attn.o_proj.weight", l.Out, 0, d, q)
		bias(p+"self_attn.o_proj.bias", l.OutBias, 0, d)
		norm(p+"post_attention_layernorm.weight", l.MLPNorm)
		matrix(p+"mlp.gate_proj.weight", l.GateUp, 0, f, d)
		matrix(p+"mlp.up_proj.weight", l.GateUp, f, f, d)
		matrix(p+"mlp.down_proj.weight", l.Down, 0, d, f)
	}
	norm("model.norm.weight", m.Norm)
	if !c.TieWordEmbeddings {
		matrix(headName, m.Head, 0, c.VocabSize, d)
	}
	return ps
}

// Shapes is [Model.Params] of a model of this configuration, matrices without data.
func (c Config) Shapes() ([]Param, error) {
	m, err := newModel(c, false)
	if err != nil {
		return nil, err
	}
	return m.Params(), nil
}

// Init draws matrices from N(0, 0.02²), as Hugging Face does; each tensor's stream is
// named by the seed and the tensor's position, so the result does not depend on order.
// Norms become ones, biases zeros.
func (m *Model) Init(seed uint64) {
	for i, p := range m.Params() {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		for j := range p.Data {
			if p.Decay {
				p.Data[j] = float32(r.NormFloat64() * 0.02)
			} else {
				p.Data[j] = p.start
			}
		}
	}
}

// Clone copies the weights.
func (m *Model) Clone() *Model {
	c, err := NewModel(m.Config)
	if err != nil { // the config was valid when m was made
		panic(err)
	}
	copy(c.flat, m.flat)
	return c
}
