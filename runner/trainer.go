package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/lm/trainset"
	"stargate/nano"
	"stargate/trainer"
	"stargate/trainer/command"
	"stargate/trainer/embedded"
	"stargate/trainer/tinker"
)

// TrainerSpec says who fine-tunes. The zero value is the embedded engine on the questioner's
// weights.
type TrainerSpec struct {
	Command *command.Config `yaml:"command" json:"command,omitempty"` // any program
	Tinker  *TinkerSpec     `yaml:"tinker" json:"tinker,omitempty"`   // a server that speaks Tinker's protocol
	// Base is the directory of the base model's weights, where the questioner is on a server. With
	// tinker the weights may be missing: its tokenizer, template and config.json are enough.
	Base string `yaml:"base" json:"base,omitempty"`
	// AdaptersAt is the run's folder "models" as the questioner's servers see it, where they are
	// other machines; adapters are loaded from there.
	AdaptersAt string `yaml:"adapters_at" json:"-"`
}

// TinkerSpec says which Tinker server trains, and where its adapters speak.
type TinkerSpec struct {
	tinker.Config `yaml:",inline"`

	// Sample has policies speak on the service that trained them. Else their adapters are
	// downloaded, and the questioner's server loads them.
	Sample bool `yaml:"sample,omitempty" json:"sample,omitempty"`

	// Price is what the service takes; changes no result.
	Price TinkerPrice `yaml:"price,omitempty" json:"price,omitzero"`
}

// validate says what cannot be trained, in words that name the field.
func (t TrainerSpec) validate(h lm.Hyper) error {
	switch {
	case t.Command != nil && t.Tinker != nil:
		return errors.New("trainer: give one of command and tinker")
	case t.Tinker == nil:
		return nil
	case h.LoRA == nil:
		return fmt.Errorf("trainer: %w (algorithm: {tune: {lora: {rank: 16, alpha: 32}}})", tinker.ErrNoAdapter)
	}
	if err := errors.Join(t.Tinker.Validate(), t.Tinker.Price.validate()); err != nil {
		return fmt.Errorf("trainer: tinker: %w", err)
	}
	return nil
}

// identity is what can change a fine-tune's result.
func (t TrainerSpec) identity() TrainerSpec {
	if k := t.Tinker; k != nil {
		t.Tinker = &TinkerSpec{Config: tinker.Config{Model: k.Model}, Sample: k.Sample}
	}
	if c := t.Command; c != nil {
		t.Command = &command.Config{Template: c.Template, Options: c.Options, Processes: c.Processes, MicroBatch: c.MicroBatch, Precision: c.Precision}
	}
	return t
}

// otherTrainer is a trainer that is not the embedded engine on the run's own weights.
type otherTrainer struct {
	identity TrainerSpec
	trainer  trainer.Trainer
	sampler  *tinker.Trainer // policies speak where they were trained; nil: they do not
	base     string          // directory
	at       string          // the models' directory as servers see it; "": as it is here
	text     *local.Text
	context  int
	models   *models
}

// open makes the trainer of a run; nil for the embedded one on the questioner's weights.
func (t TrainerSpec) open(s *models, c *cast) (*otherTrainer, error) {
	if t.Command == nil && t.Tinker == nil && t.Base == "" {
		return nil, nil
	}
	o := &otherTrainer{identity: t.identity(), base: t.Base, at: t.AdaptersAt, models: s}
	switch {
	case t.Command != nil:
		program, err := command.New(*t.Command)
		if err != nil {
			return nil, fmt.Errorf("trainer: command: %w", err)
		}
		o.trainer = program
	case t.Tinker != nil:
		server, err := tinker.New(t.Tinker.Config)
		if err != nil {
			return nil, fmt.Errorf("trainer: %w", err)
		}
		if o.trainer = server; t.Tinker.Sample {
			o.sampler = server
		}
	default:
		o.trainer = &embedded.Trainer{Every: checkpointEvery, Options: local.Options{Engine: s.engine}}
	}
	switch {
	case o.base == "" && c.questioner.player.Local != "":
		o.base = c.questioner.player.Local
	case o.base == "" && c.weights == nil:
		return nil, errors.New("trainer: base: give the directory of the questioner's weights: its server does not hand them out")
	}
	if o.base == "" { // the built-in model, which has no directory yet
		var err error
		if o.base, err = s.builtIn(); err != nil {
			return nil, err
		}
	}
	var err error
	if o.text, err = local.OpenText(o.base); err != nil {
		return nil, fmt.Errorf("trainer: base: %w", err)
	}
	o.context, err = contextOf(o.base)
	return o, err
}

// contextOf is the longest sequence of a model directory's model.
func contextOf(dir string) (int, error) {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("trainer: base: %w", err)
	}
	var c struct {
		MaxPositionEmbeddings int `json:"max_position_embeddings"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return 0, fmt.Errorf("trainer: base: %s: %w", path, err)
	}
	if c.MaxPositionEmbeddings < 1 {
		return 0, fmt.Errorf("trainer: base: %s does not say max_position_embeddings, the longest sequence", path)
	}
	return c.MaxPositionEmbeddings, nil
}

// publish has the questioner's servers load an adapter, under a name that is used for nothing
// else.
func (o *otherTrainer) publish(ctx context.Context, server *remote.Client, model, adapter, digest string) (lm.Generator, error) {
	path, err := filepath.Abs(adapter)
	if err != nil {
		return nil, err
	}
	if o.at != "" {
		rel, err := filepath.Rel(o.models.dir, adapter)
		if err != nil {
			return nil, err
		}
		path = filepath.Join(o.at, rel)
	}
	name := remote.AdapterName(o.models.run, model, digest)
	policy, err := server.LoadAdapter(ctx, name, path)
	if err != nil {
		return nil, err
	}
	o.models.loaded = append(o.models.loaded, func(ctx context.Context) error { return server.UnloadAdapter(ctx, name) })
	return policy, nil
}

// builtIn is a directory with the built-in model.
func (s *models) builtIn() (string, error) {
	dir := filepath.Join(s.dir, "m0")
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	files, err := nano.ModelFS()
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir + temporarySuffix); err != nil {
		return "", err
	}
	if err := os.CopyFS(dir+temporarySuffix, files); err != nil {
		return "", fmt.Errorf("built-in model: %w", err)
	}
	return dir, os.Rename(dir+temporarySuffix, dir)
}

func (o *otherTrainer) train(ctx context.Context, name, key, dir string, examples []lm.Example, h lm.Hyper) (tuned, error) {
	set, err := trainset.New(o.text, examples, o.context, h.HeldOut, h.Seed)
	if err != nil {
		return tuned{}, err
	}
	job := trainer.Job{Name: name, Base: o.base, Set: set, Hyper: h, Dir: dir, Work: dir + trainingSuffix, Observe: o.models.watchTraining(name)}
	if o.models.wages != nil {
		job.Purse = o.models.purse(key)
	}
	r, err := o.trainer.Train(ctx, job)
	if err != nil {
		return tuned{}, err
	}
	return tuned{Digest: r.Digest, Log: r.Log, Kind: string(r.Kind), Remote: r.Remote, Notes: r.Notes}, nil
}

// openTuned opens what the trainer made: here, beside the run's weights, or on the
// questioner's server.
func (o *otherTrainer) openTuned(ctx context.Context, b *base, name, dir string, done tuned) (lm.Generator, string, error) {
	found, err := trainer.Digest(dir)
	if err != nil {
		return nil, "", err
	}
	if o.sampler != nil {
		policy, err := o.sampler.Sampler(ctx, done.Remote, o.text, o.context)
		return &paidSampler{policy, o.models.samples, o.text, o.context}, found, err
	}
	adapter := dir
	if done.Kind == string(trainer.Model) {
		adapter = filepath.Join(dir, "adapter") // of the embedded engine's LoRA
	}
	if b.server != nil {
		if _, err := os.Stat(filepath.Join(adapter, "adapter_config.json")); err != nil {
			return nil, "", fmt.Errorf("%s is a whole model, which the questioner's server cannot load while it runs: train an adapter (algorithm: {tune: {lora: {rank: 16, alpha: 32}}})", dir)
		}
		policy, err := o.publish(ctx, b.server, name, adapter, done.Digest)
		return policy, found, err
	}
	if done.Kind == string(trainer.Adapter) {
		m, err := b.weights.OpenAdapter(os.DirFS(dir), 0)
		if err != nil {
			return nil, "", err
		}
		o.models.open = append(o.models.open, m)
		return m, found, nil
	}
	m, err := local.OpenDir(dir, local.Options{Engine: o.models.engine})
	if err != nil {
		return nil, "", err
	}
	o.models.open = append(o.models.open, m)
	return m, found, nil
}
