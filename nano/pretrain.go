package nano

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/prompt"
)

// PretrainOptions says how [Pretrain] makes a model. Zero fields take the defaults in
// brackets, which made the built-in model.
type PretrainOptions struct {
	World   *World      // [Default]
	Prompts *prompt.Set // messages of the roles [the set "nano"]
	Out     string      // directory that becomes a Hugging Face model; required
	Seed    uint64      // names weights and corpus [1]
	Steps   int         // updates [9000]
	Batch   int         // documents per update [8]
	Rate    float64     // peak learning rate [0.001]
	Workers int         // CPU workers; never changes the result [one per CPU]
	Log     *slog.Logger
}

// vocabulary is the most tokens the tokenizer may have: enough that every value of the
// built-in world is one token, which makes copying it one step.
const (
	vocabulary          = 1280
	tokenizerDocuments  = 4000
	logEvery, saveEvery = 100, 500
	warmup              = 100
)

// shape of the built-in model.
func shape(vocab int, end int32) llama.Config {
	return llama.Config{
		Architectures: []string{"MistralForCausalLM"}, ModelType: "mistral",
		VocabSize: vocab, HiddenSize: 128, IntermediateSize: 384, NumHiddenLayers: 4,
		NumAttentionHeads: 4, NumKeyValueHeads: 4, HeadDim: 32, MaxPositionEmbeddings: 512,
		RMSNormEps: 1e-5, RopeTheta: 10000, TieWordEmbeddings: true, HiddenAct: "silu",
		EOSTokenID: &end,
	}
}

// initialise draws the weights. Embeddings start five times as large as usual: all values of
// an attribute stand in the same places and so are pulled together; what tells them apart
// must be large enough to survive until the model has learned to copy.
func initialise(m *llama.Model, seed uint64) {
	m.Init(seed)
	for _, p := range m.Params() {
		scale := float32(2)
		switch {
		case !p.Decay: // norms stay ones
			continue
		case p.Name == "model.embed_tokens.weight":
			scale = 5
		}
		for i := range p.Data {
			p.Data[i] *= scale
		}
	}
}

// Pretrain learns tokenizer and model from the world's corpus and writes them to Out, with
// pretrain.csv, the training log. Every 500 updates the model so far is written, so that an
// interrupted run leaves a usable one; a finished run's weights depend on world, prompts,
// seed, steps, batch and rate alone.
func Pretrain(ctx context.Context, o PretrainOptions) error {
	if o.Out == "" {
		return errors.New("pretrain: no output directory; give --out DIR")
	}
	if err := o.defaults(); err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	corpus := NewCorpus(o.World, o.Prompts, o.Seed)
	tok, err := trainTokenizer(corpus, tokenizerDocuments, vocabulary)
	if err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	enc, err := encoder(tok)
	if err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	end, _ := tok.TokenID(endToken)
	m, err := llama.NewModel(shape(tok.VocabSize(), end))
	if err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	initialise(m, o.Seed)
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	o.Log.Info("pretrain", "world", o.World.Name, "parameters", m.Config.NumParams(), "vocabulary", tok.VocabSize(), "updates", o.Steps)
	if err := o.run(ctx, m, tok, corpus, enc); err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	return nil
}

func (o *PretrainOptions) defaults() (err error) {
	if o.World == nil {
		if o.World, err = Default(); err != nil {
			return err
		}
	}
	if o.Prompts == nil {
		if o.Prompts, err = prompt.Embedded("nano"); err != nil {
			return err
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Steps == 0 {
		o.Steps = 9000
	}
	if o.Batch == 0 {
		o.Batch = 8
	}
	if o.Rate == 0 {
		o.Rate = 1e-3
	}
	return nil
}

func (o *PretrainOptions) run(ctx context.Context, m *llama.Model, tok *tokenizer.Tokenizer, c *Corpus, enc encode) error {
	started := time.Now()
	var logged []step
	log := func(s step) {
		logged = append(logged, s)
		elapsed := time.Since(started)
		left := time.Duration(float64(elapsed) / float64(s.Step) * float64(o.Steps-s.Step))
		o.Log.Info("update", "n", s.Step, "of", o.Steps, "loss", math.Round(s.Loss*1e4)/1e4,
			"tokens", s.Tokens, "tokens_per_s", int(float64(s.Tokens)/elapsed.Seconds()), "left", left.Round(time.Second))
	}
	save := func(step) error {
		if err := saveModel(o.Out, m, tok); err != nil {
			return err
		}
		return writeFile(filepath.Join(o.Out, "pretrain.csv"), trainingLog(logged))
	}
	r := recipe{steps: o.Steps, batch: o.Batch, rate: o.Rate, warmup: min(warmup, max(1, o.Steps/10)), workers: o.Workers, logEvery: logEvery, saveEvery: saveEvery}
	if err := train(ctx, m, c, enc, r, log, save); err != nil {
		return err
	}
	return save(step{})
}
