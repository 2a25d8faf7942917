package trainer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"stargate/lm"
	"stargate/lm/trainset"
)

// Trainer fine-tunes.
type Trainer interface {
	// Train does a job, or goes on with what is left of it. It returns when the result is in
	// job.Dir; when ctx is done it ends what it started, keeps what can be gone on from, and
	// returns an error that is ctx.Err().
	Train(ctx context.Context, job Job) (Result, error)
}

// Job is one fine-tune.
type Job struct {
	Name  string // of the new model, for example "m1"
	Base  string // the model to start from: a directory, or a name the trainer knows
	Set   trainset.Set
	Hyper lm.Hyper
	Dir   string // where the result appears; what was there is replaced
	Work  string // kept until the caller removes it; empty: Dir + ".training"

	Observe func(Progress) // may be nil; never called by two goroutines at once
	Purse   Purse          // pays for tokens that a service is sent; nil: nobody counts
}

// Purse pays for a job whose trainer is paid by the token. Other trainers do not ask it.
type Purse interface {
	// Afford fails if so many further tokens could not be paid. Nothing is paid yet.
	Afford(ctx context.Context, tokens int) error
	// Pay pays for tokens that are sent next. After an error they must not be sent.
	Pay(ctx context.Context, tokens int) error
}

// Progress says how far a job is.
type Progress struct {
	Step, Steps  int     // steps done, and in all; 0 steps while that is not known
	Loss         float64 // of the last step, mean nats per trained token
	LearningRate float64
	GradNorm     float64 // before clipping; 0 where it is not told
	Note         string  // something else that happened, such as "submitted as Slurm job 17"
}

// Kind says what a result is.
type Kind string

// The kinds of results.
const (
	Model   Kind = "model"   // a Hugging Face directory that is used by itself
	Adapter Kind = "adapter" // a PEFT directory that is used with the base model
)

// Result is a finished job.
type Result struct {
	Dir    string     `json:"dir"`
	Kind   Kind       `json:"kind"`
	Digest string     `json:"digest"` // SHA-256 of the directory's files with their names, in hexadecimal
	Log    lm.TuneLog `json:"log"`

	// Remote is the address at which the server that trained the model samples from it, "" if
	// there is none.
	Remote string   `json:"remote,omitempty"`
	Notes  []string `json:"notes,omitempty"` // what a reader of the numbers should know, in sentences
}

// Notify tells the job's observer, if it has one.
func (j Job) Notify(p Progress) {
	if j.Observe != nil {
		j.Observe(p)
	}
}

// WorkDir is the job's work directory.
func (j Job) WorkDir() string {
	if j.Work != "" {
		return j.Work
	}
	return j.Dir + ".training"
}

// Key names all that determines the result: base, rows, hyperparameters, and the trainer's
// own settings.
func (j Job) Key(settings any) (string, error) {
	data, err := json.Marshal([]any{j.Base, j.Set, j.Hyper, settings})
	if err != nil {
		return "", fmt.Errorf("key of job %s: %w", j.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// ErrNothing: the set has no row to train on.
var ErrNothing = errors.New("nothing to train on")

// ErrWeighted: the set weighs its tokens, and the trainer can only train a token or not.
var ErrWeighted = errors.New("this trainer cannot weigh tokens: take the tinker trainer, or weights of 0 and 1")

// Check says what makes a job impossible for every trainer.
func (j Job) Check() error {
	h := j.Hyper
	switch {
	case len(j.Set.Train) == 0:
		return fmt.Errorf("%w: %d rows are held out, and %d are too long for the context", ErrNothing, len(j.Set.Held), len(j.Set.Dropped))
	case j.Dir == "":
		return errors.New("the job does not say where its result should go")
	case !(h.LearningRate > 0):
		return fmt.Errorf("learning_rate is %g, want a positive number", h.LearningRate)
	case h.Epochs < 1 || h.BatchSize < 1:
		return fmt.Errorf("epochs and batch_size are %d and %d, want at least 1", h.Epochs, h.BatchSize)
	case !(h.WarmupRatio >= 0 && h.WarmupRatio <= 1):
		return fmt.Errorf("warmup_ratio is %g, want a number in [0, 1]", h.WarmupRatio)
	case h.LoRA != nil && h.LoRA.Rank < 1:
		return fmt.Errorf("lora.rank is %d, want at least 1", h.LoRA.Rank)
	}
	return nil
}
