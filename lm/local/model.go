package local

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"stargate/internal/chattemplate"
	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/safetensors"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// Weights is what a model predicts with.
type Weights string

// The ways to predict: with the weights as they were read, or with every matrix rounded to bytes
// and a scale for each row and block of at most 384 columns. Rounded weights take a byte each,
// and a single sequence is generated in half the time that bf16 takes; probabilities are those of
// the rounded model. Tune and Save work with the weights as they were read.
const (
	Exact Weights = ""
	Int8  Weights = "int8"
)

// Options say how a model runs. None of them changes a result but Weights, and Context what is
// possible.
type Options struct {
	// Engine is where the model computes. Without one it starts its own, with Workers
	// workers (0: one per processor). A tuned model uses the engine of its parent.
	Engine  *Engine
	Workers int

	// Context is the most tokens of a prompt with its continuation; 0, or anything above it,
	// is what config.json allows: max_position_embeddings, times a rope_scaling that stretches it.
	Context int
	// Sequences is the most sequences of a step (default 128).
	Sequences int
	// BatchTokens is the most tokens of a step (default 512): a longer prompt is read in
	// chunks between which others generate.
	BatchTokens int
	// KVBytes is the memory of keys and values, cached prefixes included (default 64 MiB,
	// or what one sequence of the full context needs). It is taken as it is needed.
	KVBytes int
	// Float32Bytes is the most memory that a model opened from a directory may take as float32,
	// packed copy included (default 2 GiB, enough for about 268 million parameters). The weights
	// of a larger one stay as its files hold them, mapped from disk.
	Float32Bytes int64
	// Weights is what the model predicts with (default [Exact]); [Int8] is for generating, not for
	// scores that are to be compared with others.
	Weights Weights
	// NoPrefixCache computes every prompt from its first token, as if nothing had been computed
	// before: to see what the cache saves.
	NoPrefixCache bool
	// Queue is the most requests that wait for a place; further callers block (default 4096).
	Queue int
}

func (o Options) withDefaults(c llama.Config) Options {
	if o.Context <= 0 || o.Context > c.Context() {
		o.Context = c.Context()
	}
	if o.Sequences <= 0 {
		o.Sequences = 128
	}
	if o.BatchTokens <= 0 {
		o.BatchTokens = 512
	}
	if o.KVBytes <= 0 {
		o.KVBytes = max(64<<20, llama.Pages(o.Context)*llama.PageBytes(c))
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	return o
}

// Model is a language model in memory: a Generator, a Scorer and a Tuner. It is safe for
// concurrent use.
type Model struct {
	weights weights
	codec   *codec
	files   map[string][]byte // tokenizer and its settings, as they were read
	opts    Options
	engine  *Engine
	sched   *scheduler
	adapter *lora.Adapter // of a model tuned with LoRA, whose weights are merged, or of Adapt
	digest  func() string
	close   sync.Once
}

var (
	_ lm.Generator = (*Model)(nil)
	_ lm.Scorer    = (*Model)(nil)
	_ lm.Tuner     = (*Model)(nil)
)

// ErrClosed is returned by calls on a closed model.
var ErrClosed = errors.New("the model is closed")

// templateFile is where newer directories keep the chat template.
const templateFile = "chat_template.jinja"

// OpenDir opens a Hugging Face directory on disk, or a GGUF file ([OpenGGUF]).
func OpenDir(dir string, o Options) (*Model, error) {
	open := func() (*Model, error) { return Open(os.DirFS(dir), o) }
	if strings.EqualFold(filepath.Ext(dir), ".gguf") {
		open = func() (*Model, error) { return OpenGGUF(dir, o) }
	}
	m, err := open()
	if err != nil {
		return nil, fmt.Errorf("open model %s: %w", dir, err)
	}
	return m, nil
}

// Open reads a Hugging Face directory: config.json, model.safetensors (or the shards that
// model.safetensors.index.json names), tokenizer.json,
// tokenizer_config.json with its chat template (or chat_template.jinja), and
// generation_config.json where there is one. Close the model when done.
func Open(dir fs.FS, o Options) (*Model, error) {
	weights, err := loadWeights(dir, o)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, required := range map[string]bool{tokenizer.File: true, tokenizer.ConfigFile: true, tokenizer.GenerationFile: false, templateFile: false} {
		data, err := fs.ReadFile(dir, name)
		switch {
		case err == nil:
			files[name] = data
		case required || !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("model directory: %w", err)
		}
	}
	codec, err := newCodec(weights.Config, files)
	if err != nil {
		return nil, err
	}
	return assemble(weights, codec, files, o)
}

// New makes a model of weights and the text files of a Hugging Face directory, by name. The
// weights are the model's from then on.
func New(weights *llama.Model, files map[string][]byte, o Options) (*Model, error) {
	codec, err := newCodec(weights.Config, files)
	if err != nil {
		return nil, err
	}
	return assemble(fullWeights(weights), codec, files, o)
}

func newCodec(c llama.Config, files map[string][]byte) (*codec, error) {
	tokens, err := tokenizer.Load(files[tokenizer.File])
	if err != nil {
		return nil, err
	}
	if n := tokens.VocabSize(); n > c.VocabSize {
		return nil, fmt.Errorf("%s has %d tokens but the model's vocabulary only %d", tokenizer.File, n, c.VocabSize)
	}
	settings, err := tokenizer.ReadConfig(files[tokenizer.ConfigFile])
	if err != nil {
		return nil, err
	}
	source := settings.ChatTemplate
	if source == "" {
		source = string(files[templateFile])
	}
	if source == "" {
		return nil, fmt.Errorf("%s has no chat_template and there is no %s: take an instruction-tuned model, or add the template it was trained with", tokenizer.ConfigFile, templateFile)
	}
	template, err := chattemplate.New(source, chattemplate.Vars{BOS: string(settings.BOSToken), EOS: string(settings.EOSToken)})
	if err != nil {
		return nil, err
	}
	ends := c.EndTokens()
	if data, ok := files[tokenizer.GenerationFile]; ok {
		g, err := tokenizer.ReadGeneration(data)
		if err != nil {
			return nil, err
		}
		ends = append(ends, g.EOSTokenID...)
	}
	if id, ok := tokens.TokenID(string(settings.EOSToken)); ok {
		ends = append(ends, id)
	}
	slices.Sort(ends)
	return &codec{tokens: tokens, template: template, ends: slices.Compact(ends)}, nil
}

func assemble(weights weights, codec *codec, files map[string][]byte, o Options) (*Model, error) {
	if o.Weights != Exact && o.Weights != Int8 {
		return nil, fmt.Errorf("weights %q: want %q, or none to take them as they are", o.Weights, Int8)
	}
	weights.bytes = o.Weights == Int8
	o = o.withDefaults(weights.Config)
	m := &Model{weights: weights, codec: codec, files: files, opts: o, engine: o.Engine}
	if m.engine == nil {
		m.engine = NewEngine(o.Workers)
	} else if err := m.engine.retain(); err != nil {
		return nil, fmt.Errorf("the engine has ended: %w", err)
	}
	m.digest = sync.OnceValue(m.computeDigest)
	cache := llama.NewCache(weights.Config, max(1, o.KVBytes/llama.PageBytes(weights.Config)))
	var decoder *llama.Decoder
	var err error
	m.engine.do(func(p *kernel.Pool) { decoder, err = weights.decoder(p, cache) })
	if err != nil {
		m.engine.release()
		return nil, err
	}
	m.sched = newScheduler(m.engine, decoder, cache, codec, o)
	go m.sched.loop()
	return m, nil
}

// Close ends the model; calls in progress fail with ErrClosed. The memory is freed, the
// engine lives on while other models use it.
func (m *Model) Close() {
	m.close.Do(func() {
		close(m.sched.quit)
		<-m.sched.ended
		m.engine.release()
	})
}

// Config is the model's shape.
func (m *Model) Config() llama.Config { return m.weights.Config }

// Context is the most tokens of a prompt with its continuation.
func (m *Model) Context() int { return m.opts.Context }

// Encode is the tokens of a conversation and which of them carry loss: those of the
// assistant messages whose indices are in loss, each with its end-of-turn token. It is what
// Tune trains on.
func (m *Model) Encode(chat lm.Chat, loss []int) (ids []int32, mask []bool, err error) {
	return m.codec.masked(chat, loss)
}

// Decode is the text of tokens, special ones included.
func (m *Model) Decode(ids []int32) string { return m.codec.tokens.Decode(ids, false) }

// Piece is the text that a token adds in the middle of a text. Decode of the token alone may be
// shorter: vocabularies of SentencePiece's lose a space at the beginning.
func (m *Model) Piece(id int32) string { return m.codec.tokens.Piece(id, false) }

// Digest names what the model computes: the SHA-256 of shape, weights, tokenizer and
// template, in hexadecimal. How the weights are stored does not matter, unless they are rounded
// for it ([Int8]).
func (m *Model) Digest() string { return m.digest() }

func (m *Model) computeDigest() string {
	h := sha256.New()
	c := m.weights.Config
	c.TorchDtype, c.Architectures = "", nil
	shape, err := json.Marshal(c)
	if err != nil { // numbers and strings
		panic(err)
	}
	part := func(name string, data []byte) {
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	part(llama.ConfigFile, shape)
	for _, name := range []string{tokenizer.File, tokenizer.ConfigFile, tokenizer.GenerationFile, templateFile} {
		part(name, m.files[name])
	}
	var buffer []byte
	_ = m.weights.each(func(p llama.Param) error { // fails only where the function does
		buffer = buffer[:0]
		for _, x := range p.Data {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
		}
		part(p.Name, buffer)
		return nil
	})
	if m.weights.bytes {
		part("weights", []byte(Int8))
	}
	if m.weights.low != nil { // rounds otherwise than merged weights
		files, err := m.weights.low.Files()
		if err != nil { // float32 tensors of the right shapes
			panic(err)
		}
		part(lora.ConfigFile, files[lora.ConfigFile])
		part(lora.WeightsFile, files[lora.WeightsFile])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Save writes the model as a Hugging Face directory that transformers and Open read, with
// float32 weights: nothing is lost. A model tuned with LoRA, or made by Adapt, is written merged,
// with its adapter in PEFT's format in the folder "adapter". The directory must not exist; it appears complete
// or not at all.
func (m *Model) Save(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return fmt.Errorf("save model: %s: %w; remove it first, or choose another name", dir, err)
	}
	full, err := m.float32()
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	files, err := full.Files(safetensors.F32)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".partial-*")
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	defer os.RemoveAll(partial) // nothing is left there after a success
	if err := os.Chmod(partial, 0o755); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if m.adapter != nil {
		low, err := m.adapter.Files()
		if err != nil {
			return fmt.Errorf("save model: %w", err)
		}
		if err := os.Mkdir(filepath.Join(partial, adapterDir), 0o755); err != nil {
			return fmt.Errorf("save model: %w", err)
		}
		for name, data := range low {
			files[filepath.Join(adapterDir, name)] = data
		}
	}
	for _, set := range []map[string][]byte{files, m.files} {
		for name, data := range set {
			if err := writeSynced(filepath.Join(partial, name), data); err != nil {
				return fmt.Errorf("save model: %w", err)
			}
		}
	}
	if err := os.Rename(partial, dir); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
