package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"stargate/export"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/trainset"
	"stargate/nano"
	"stargate/runner"
	"stargate/trainer"
	"stargate/trainer/embedded"
)

// tuneOptions are the flags of "stargate tune".
type tuneOptions struct {
	model, name, data, heldOut, out, hyperFile string
	loraRank                                   int
	loraAlpha, loraDropout                     float64
	loraTargets                                []string
	every                                      time.Duration
	workers                                    int
	json                                       bool
	hyper                                      lm.Hyper
}

func tuneCommand() *cobra.Command {
	var o tuneOptions
	c := &cobra.Command{
		Use:   "tune --data FILE --out DIR",
		Short: "Fine-tune a model on a file of examples",
		Long: `Fine-tune a model on a file of examples with the embedded engine, and write the new model as a
Hugging Face directory. The file is

  - what "stargate export" writes by default: the tokens and their mask are taken as they are,
    if the model's tokenizer and chat template are those that made them;
  - or rows of input_ids and labels, where -100 masks a token; a column "key" names the rows;
  - or chats: {"messages": [{"role": "user", "content": "..."}, ...]}. Every assistant message is
    trained, except those with "train": false or "weight": 0.

Which rows are held out, and in which order the others are trained on, depends on their keys
and the seed alone. Progress is kept in DIR.training: the same command goes on where a stopped
one was, and ends with the same bits. A row that is too long for the model's context is left
out and named, never cut.`,
		Example: `  stargate tune --model HuggingFaceTB/SmolLM2-135M-Instruct --data chats.jsonl --out tuned --epochs 2
  stargate tune --model DIR --data examples.jsonl --out m1 --lora-rank 16 --lora-alpha 32 --learning-rate 2e-4
  stargate tune --model DIR --data rows.jsonl --out m1 --json > log.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return tune(c, o) },
	}
	p := lm.PaperHyper()
	o.hyper = p
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "Hugging Face directory, GGUF file, or ORG/NAME that was pulled (default the built-in model)")
	f.StringVar(&o.data, "data", "", "examples to train on")
	f.StringVar(&o.heldOut, "held-out-data", "", "examples to measure the loss on before and after (default --held-out of the data)")
	f.StringVar(&o.out, "out", "", "directory of the new model")
	f.StringVar(&o.name, "name", "", "name of the new model in messages (default the last part of --out)")
	f.StringVar(&o.hyperFile, "hyper", "", "YAML file of hyperparameters; flags go before it")
	f.Float64Var(&o.hyper.LearningRate, "learning-rate", p.LearningRate, "peak of the cosine schedule")
	f.IntVar(&o.hyper.Epochs, "epochs", p.Epochs, "passes over the data")
	f.IntVar(&o.hyper.BatchSize, "batch-size", p.BatchSize, "examples of a step")
	f.Float64Var(&o.hyper.WarmupRatio, "warmup-ratio", p.WarmupRatio, "share of the steps in which the rate rises")
	f.Float64Var(&o.hyper.WeightDecay, "weight-decay", p.WeightDecay, "decoupled weight decay")
	f.Float64Var(&o.hyper.ClipNorm, "clip-norm", p.ClipNorm, "largest norm of the gradient; 0 is no limit")
	f.Float64Var(&o.hyper.HeldOut, "held-out", p.HeldOut, "share of the data that is not trained on, to measure the loss")
	f.Uint64Var(&o.hyper.Seed, "seed", p.Seed, "orders the examples and draws the adapter")
	f.IntVar(&o.loraRank, "lora-rank", 0, "train a low-rank adapter of this rank (default all weights)")
	f.Float64Var(&o.loraAlpha, "lora-alpha", 0, "the adapter is scaled by alpha/rank (default twice the rank)")
	f.Float64Var(&o.loraDropout, "lora-dropout", 0, "probability that the adapter misses an element of its input, in training")
	f.StringSliceVar(&o.loraTargets, "lora-targets", nil, "modules that get an adapter, such as q_proj,v_proj (default every projection)")
	f.BoolVar(&o.hyper.GradientCheckpointing, "gradient-checkpointing", false, "compute activations twice instead of keeping them: less memory, about a third more time")
	f.StringVar((*string)(&o.hyper.Storage), "storage", string(lm.Float32), "how the weights are held: float32, or bf16 with float32 masters")
	f.DurationVar(&o.every, "checkpoint-every", 30*time.Second, "least time between two checkpoints")
	f.IntVar(&o.workers, "workers", 0, "processors to use (default all); changes no result")
	f.BoolVar(&o.json, "json", false, "print a JSON line for every step, and one for the result")
	return c
}

// tuneLine is a line of "stargate tune --json": a step, the held-out losses, or the result.
type tuneLine struct {
	Step         int         `json:"step,omitempty"`
	Steps        int         `json:"steps,omitempty"`
	Loss         *float64    `json:"loss,omitempty"`
	LearningRate float64     `json:"learning_rate,omitempty"`
	GradNorm     float64     `json:"grad_norm,omitempty"`
	EvalLossBase *float64    `json:"eval_loss_base,omitempty"`
	EvalLoss     *float64    `json:"eval_loss,omitempty"`
	Result       *tuneResult `json:"result,omitempty"`
}

type tuneResult struct {
	Dir      string       `json:"dir"`
	Kind     trainer.Kind `json:"kind"`
	Digest   string       `json:"digest"` // of the directory's files
	Examples int          `json:"examples"`
	HeldOut  int          `json:"held_out"`
	Tokens   int          `json:"tokens"` // trained in an epoch
	Dropped  []string     `json:"dropped,omitempty"`
}

func tune(c *cobra.Command, o tuneOptions) error {
	switch {
	case o.data == "":
		return fmt.Errorf("%w: --data is missing: the examples to train on", errUsage)
	case o.out == "":
		return fmt.Errorf("%w: --out is missing: the directory of the new model", errUsage)
	}
	h, err := o.hyperparameters(c)
	if err != nil {
		return err
	}
	o.out = filepath.Clean(o.out)
	if o.name == "" {
		o.name = filepath.Base(o.out)
	}
	job := trainer.Job{Name: o.name, Hyper: h, Dir: o.out}
	if err := checkOut(job); err != nil {
		return err
	}
	dir, err := modelDir(o.model)
	if err != nil {
		return err
	}
	m, err := runner.OpenModel(dir, o.workers)
	if err != nil {
		return err
	}
	defer m.Close()
	job.Base = m.Digest() // a checkpoint belongs to the model, wherever it is
	if job.Set, err = o.set(m, dir, h); err != nil {
		return err
	}
	if n := len(job.Set.Dropped); n > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d examples have more than the %d tokens of the model's context and are left out: %s\n", n, m.Context(), abridged(job.Set.Dropped))
	}
	out := c.OutOrStdout()
	progress := newProgress(c.ErrOrStderr())
	var printing error
	job.Observe = func(p trainer.Progress) {
		if !o.json {
			progress.observe(runner.Event{Stage: "tune " + o.name, Done: p.Step, Total: p.Steps})
		} else if printing == nil {
			printing = printLine(out, tuneLine{Step: p.Step, Steps: p.Steps, Loss: &p.Loss, LearningRate: p.LearningRate, GradNorm: p.GradNorm})
		}
	}
	t := &embedded.Trainer{Base: func(trainer.Job) (*local.Model, error) { return m, nil }, Every: o.every}
	r, err := t.Train(c.Context(), job)
	progress.close()
	if err := errors.Join(err, printing); err != nil {
		return err
	}
	if err := os.RemoveAll(job.WorkDir()); err != nil {
		return err
	}
	return o.print(out, r)
}

// hyperparameters are the paper's, changed by the file and then by flags that were given.
func (o tuneOptions) hyperparameters(c *cobra.Command) (lm.Hyper, error) {
	h := lm.PaperHyper()
	if o.hyperFile != "" {
		text, err := os.ReadFile(o.hyperFile)
		if err != nil {
			return h, err
		}
		if err := yaml.Load(text, &h, yaml.WithKnownFields()); err != nil {
			return h, fmt.Errorf("%s: %w", o.hyperFile, err)
		}
	}
	given := c.Flags().Changed
	for flag, set := range map[string]func(){
		"learning-rate": func() { h.LearningRate = o.hyper.LearningRate }, "epochs": func() { h.Epochs = o.hyper.Epochs }, "batch-size": func() { h.BatchSize = o.hyper.BatchSize },
		"warmup-ratio": func() { h.WarmupRatio = o.hyper.WarmupRatio }, "weight-decay": func() { h.WeightDecay = o.hyper.WeightDecay }, "clip-norm": func() { h.ClipNorm = o.hyper.ClipNorm },
		"gradient-checkpointing": func() { h.GradientCheckpointing = o.hyper.GradientCheckpointing }, "storage": func() { h.Storage = o.hyper.Storage },
		"held-out": func() { h.HeldOut = o.hyper.HeldOut }, "seed": func() { h.Seed = o.hyper.Seed },
		"lora-rank": func() { h.LoRA = &lm.LoRA{Rank: o.loraRank, Alpha: 2 * float64(o.loraRank)} },
	} {
		if given(flag) {
			set()
		}
	}
	if h.LoRA == nil && (given("lora-alpha") || given("lora-dropout") || given("lora-targets")) {
		return h, fmt.Errorf("%w: --lora-alpha, --lora-dropout and --lora-targets are about an adapter: give --lora-rank too", errUsage)
	}
	if given("lora-alpha") {
		h.LoRA.Alpha = o.loraAlpha
	}
	if given("lora-dropout") {
		h.LoRA.Dropout = o.loraDropout
	}
	if given("lora-targets") {
		h.LoRA.Targets = o.loraTargets
	}
	return h, nil
}

// checkOut refuses a directory that somebody else filled: it would be replaced.
func checkOut(j trainer.Job) error {
	_, err := os.Stat(j.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(j.WorkDir()); err == nil {
		return nil // a finished job that was stopped while it cleaned up
	}
	return fmt.Errorf("%s is there already: remove it, or choose another --out", j.Dir)
}

// set reads the data and divides it.
func (o tuneOptions) set(m *local.Model, dir string, h lm.Hyper) (trainset.Set, error) {
	rows, err := readRows(o.data, m, dir)
	if err != nil {
		return trainset.Set{}, err
	}
	share := h.HeldOut
	if o.heldOut != "" {
		share = 0
	}
	s, err := trainset.Split(rows, m.Context(), share, h.Seed)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.data, err)
	}
	if o.heldOut == "" {
		return s, nil
	}
	held, err := readRows(o.heldOut, m, dir)
	if err != nil {
		return s, err
	}
	apart, err := trainset.Split(held, m.Context(), 0, h.Seed)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.heldOut, err)
	}
	s.Held = apart.Train
	s.Dropped = append(s.Dropped, apart.Dropped...)
	return s, nil
}

// readRows reads a file of any of the three kinds, as its first line shows.
func readRows(path string, m *local.Model, dir string) ([]trainset.Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var first struct {
		Schema *string         `json:"schema"`
		IDs    json.RawMessage `json:"input_ids"`
	}
	if filepath.Ext(path) != ".parquet" {
		if err := json.NewDecoder(f).Decode(&first); err != nil {
			return nil, fmt.Errorf("%s: line 1: %w", path, err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	if first.Schema != nil || filepath.Ext(path) == ".parquet" {
		return canonicalRows(path, dir)
	}
	var rows []trainset.Row
	if first.IDs != nil {
		rows, err = trainset.ReadTokens(f)
	} else {
		var examples []lm.Example
		if examples, err = trainset.ReadMessages(f); err == nil {
			rows, err = trainset.Encode(m, examples)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// canonicalRows are the tokens and weights of a canonical file, which must be the model's own.
func canonicalRows(path, dir string) ([]trainset.Row, error) {
	text, err := openText(dir)
	if err != nil {
		return nil, err
	}
	var rows []trainset.Row
	for e, err := range export.File(path) {
		if err != nil {
			return nil, err
		}
		if p := e.Provenance; p.Tokenizer != text.TokenizerDigest() || p.Template != text.TemplateDigest() {
			return nil, fmt.Errorf("%s, example %q: its tokens were made by another tokenizer or chat template than this model's: name the model it was exported for, or export it again", path, e.Key)
		}
		r := trainset.Row{Key: e.Key, Tokens: e.IDs, Loss: make([]bool, len(e.IDs)), Weights: e.Weights}
		for t, w := range e.Weights {
			r.Loss[t] = w > 0
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s holds no example", path)
	}
	return rows, nil
}

// openText is the tokenizer and template of a model directory, or with "" of the built-in model.
func openText(dir string) (*local.Text, error) {
	if dir != "" {
		return local.OpenText(dir)
	}
	files, err := nano.ModelFS()
	if err != nil {
		return nil, err
	}
	return local.OpenTextFS(files)
}

// print says what came out.
func (o tuneOptions) print(w io.Writer, r trainer.Result) error {
	log := r.Log
	if o.json {
		if log.HeldOut > 0 {
			if err := printLine(w, tuneLine{EvalLossBase: &log.EvalLossBase, EvalLoss: &log.EvalLoss}); err != nil {
				return err
			}
		}
		return printLine(w, tuneLine{Result: &tuneResult{r.Dir, r.Kind, r.Digest, log.Examples, log.HeldOut, log.Tokens, log.Dropped}})
	}
	first, last := log.Steps[0], log.Steps[len(log.Steps)-1]
	if _, err := fmt.Fprintf(w, "%d examples, %d trained tokens, %d steps; loss %.4f, then %.4f\n", log.Examples, log.Tokens, len(log.Steps), first.Loss, last.Loss); err != nil {
		return err
	}
	if log.HeldOut > 0 {
		if _, err := fmt.Fprintf(w, "%d examples held out; their loss %.4f, then %.4f\n", log.HeldOut, log.EvalLossBase, log.EvalLoss); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, r.Dir)
	return err
}

// abridged is a list that does not fill the screen.
func abridged(names []string) string {
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
}

// printLine prints a value as one line of JSON.
func printLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
