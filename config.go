package stargate

import (
	"fmt"

	"stargate/lm"
)

// TrainOn says what follows a selected conversation in training: the row of the paper's
// training ablations (§6).
type TrainOn string

// What a new model learns besides the questions.
const (
	OwnResponse  TrainOn = "response" // the paper's regularisation: r ~ Q_{η-1} at temperature 0
	NoResponse   TrainOn = "nothing"  // "w/o Reg.": questions only
	GoldResponse TrainOn = "gold"     // "w/ Gold Resp."
)

// Draw is how one role samples.
type Draw struct {
	Temperature float64 `json:"temperature" yaml:"temperature"`
	TopP        float64 `json:"top_p" yaml:"top_p"`
	TopK        int     `json:"top_k" yaml:"top_k"`
	MaxTokens   int     `json:"max_tokens" yaml:"max_tokens"`
}

func (d Draw) sampling(seed uint64) lm.Sampling {
	return lm.Sampling{Temperature: d.Temperature, TopP: d.TopP, TopK: d.TopK, MaxTokens: d.MaxTokens, Seed: seed}
}

// Validate says what is wrong, in words that begin with who draws.
func (d Draw) Validate(who string) error {
	switch {
	case d.Temperature < 0:
		return fmt.Errorf("%s: temperature is %g, want 0 (greedy) or more", who, d.Temperature)
	case d.TopP < 0 || d.TopP > 1:
		return fmt.Errorf("%s: top_p is %g, want a share between 0 (off) and 1", who, d.TopP)
	case d.TopK < 0:
		return fmt.Errorf("%s: top_k is %d, want 0 (off) or more", who, d.TopK)
	case d.MaxTokens < 1:
		return fmt.Errorf("%s: max_tokens is %d, want at least 1", who, d.MaxTokens)
	}
	return nil
}

// Config are the numbers of Algorithm 1. The zero value is not usable: start from [Paper].
type Config struct {
	Seed             uint64   `json:"seed" yaml:"seed"`
	Iterations       int      `json:"iterations" yaml:"iterations"` // N
	Samples          int      `json:"samples" yaml:"samples"`       // C, conversations simulated per pair
	MaxTurns         int      `json:"max_turns" yaml:"max_turns"`   // K; a pair's length is uniform over 1..K
	TopK             int      `json:"top_k" yaml:"top_k"`           // k, conversations selected per pair
	Redraws          int      `json:"redraws" yaml:"redraws"`       // times a malformed turn is drawn again before the conversation is dropped
	Questioner       Draw     `json:"questioner" yaml:"questioner"`
	Roleplayer       Draw     `json:"roleplayer" yaml:"roleplayer"`
	Response         Draw     `json:"response" yaml:"response"`
	TrainOn          TrainOn  `json:"train_on" yaml:"train_on"`
	ResponsePreamble bool     `json:"response_preamble" yaml:"response_preamble"` // authors' code: ask for a personal answer, then drop the request from training
	Tune             lm.Hyper `json:"tune" yaml:"tune"`
	Concurrency      int      `json:"-" yaml:"-"` // pairs in flight; changes no result
}

// Paper is the paper's configuration (§3, §5, and PROTOCOL for what the text leaves out).
func Paper() Config {
	return Config{
		Iterations: 3, Samples: 10, MaxTurns: 3, TopK: 1, Redraws: 3,
		Questioner:  Draw{Temperature: 0.9, TopP: 0.9, MaxTokens: 700},
		Roleplayer:  Draw{Temperature: 0.9, TopP: 0.9, MaxTokens: 700},
		Response:    Draw{MaxTokens: 700},
		TrainOn:     OwnResponse,
		Tune:        lm.PaperHyper(),
		Concurrency: 32,
	}
}

// Validate says what is wrong, in words that name the field.
func (c Config) Validate() error {
	for _, f := range []struct {
		name string
		n    int
	}{{"iterations", c.Iterations}, {"samples", c.Samples}, {"max_turns", c.MaxTurns}, {"top_k", c.TopK}, {"concurrency", c.Concurrency}} {
		if f.n < 1 {
			return fmt.Errorf("config: %s is %d, want at least 1", f.name, f.n)
		}
	}
	if c.TopK > c.Samples {
		return fmt.Errorf("config: top_k is %d, but only %d conversations are simulated per pair (samples)", c.TopK, c.Samples)
	}
	if c.Redraws < 0 {
		return fmt.Errorf("config: redraws is %d, want 0 or more", c.Redraws)
	}
	switch c.TrainOn {
	case OwnResponse, NoResponse, GoldResponse:
	default:
		return fmt.Errorf("config: train_on is %q, want %q, %q or %q", c.TrainOn, OwnResponse, NoResponse, GoldResponse)
	}
	for _, d := range []struct {
		who string
		d   Draw
	}{{"config: questioner", c.Questioner}, {"config: roleplayer", c.Roleplayer}, {"config: response", c.Response}} {
		if err := d.d.Validate(d.who); err != nil {
			return err
		}
	}
	if c.Response.Temperature != 0 {
		return fmt.Errorf("config: response: temperature is %g, but the regularisation response is greedy (paper §3): want 0", c.Response.Temperature)
	}
	if t := c.Tune; t.LearningRate <= 0 || t.Epochs < 1 || t.BatchSize < 1 || t.HeldOut < 0 || t.HeldOut >= 1 {
		return fmt.Errorf("config: tune: want learning_rate > 0, epochs ≥ 1, batch_size ≥ 1 and held_out in [0, 1); got %g, %d, %d, %g", t.LearningRate, t.Epochs, t.BatchSize, t.HeldOut)
	}
	if l := c.Tune.LoRA; l != nil && (l.Rank < 1 || !(l.Alpha > 0) || !(l.Dropout >= 0 && l.Dropout < 1)) {
		return fmt.Errorf("config: tune: lora: want rank ≥ 1, alpha > 0 and dropout in [0, 1); got %d, %g, %g", l.Rank, l.Alpha, l.Dropout)
	}
	if err := c.Tune.Storage.Validate(); err != nil {
		return fmt.Errorf("config: tune: %w", err)
	}
	return nil
}
