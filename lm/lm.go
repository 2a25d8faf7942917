package lm

import (
	"context"
	"fmt"
)

// Role says who speaks in a [Message].
type Role string

// The roles chat templates know.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of a [Chat].
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
}

// Chat is a conversation in order. Generation and scoring expect it to end with a user
// message; the model's own chat template turns it into tokens.
type Chat []Message

// Sampling says how to draw a completion. The zero value is greedy decoding up to the
// driver's default length.
type Sampling struct {
	Temperature float64  `json:"temperature"`     // 0 = greedy (argmax, lowest id wins ties)
	TopP        float64  `json:"top_p,omitempty"` // nucleus mass in (0, 1]; 0 = off
	TopK        int      `json:"top_k,omitempty"` // keep the k most probable tokens; 0 = off
	MaxTokens   int      `json:"max_tokens"`      // most tokens to draw; 0 = what still fits the context
	Stop        []string `json:"stop,omitempty"`  // the completion ends before the first of these
	Seed        uint64   `json:"seed"`            // names the random stream of this one request
}

// FinishReason says why a completion ended.
type FinishReason string

// The reasons a completion ends.
const (
	FinishStop   FinishReason = "stop"   // end-of-turn token or stop string
	FinishLength FinishReason = "length" // MaxTokens or the context was reached: the text is truncated
)

// Usage counts tokens of a call as the model sees them, template tokens included.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

// Completion is a generated assistant message.
type Completion struct {
	Text   string       `json:"text"`
	Tokens []int32      `json:"tokens,omitempty"` // the ids drawn, end-of-turn excluded; never re-encoded from Text
	Finish FinishReason `json:"finish"`
	Usage  Usage        `json:"usage"`
}

// TokenLogProb is the natural-log probability of one target token.
type TokenLogProb struct {
	ID      int32   `json:"id"`
	LogProb float64 `json:"logprob"`
}

// LogProb is log p(target | chat): the score of the paper's equation 1.
type LogProb struct {
	Sum    float64        `json:"sum"`              // nats, over the target's tokens, without end-of-turn
	Tokens []TokenLogProb `json:"tokens,omitempty"` // in order
	Usage  Usage          `json:"usage"`            // CompletionTokens = len(Tokens)
}

// Mean is the score per token in nats, and 0 for an empty target.
func (l LogProb) Mean() float64 {
	if len(l.Tokens) == 0 {
		return 0
	}
	return l.Sum / float64(len(l.Tokens))
}

// Example is one training conversation. Loss falls on the assistant messages whose index
// is in Loss, including the end-of-turn token after each, and on nothing else
// (PROTOCOL: answers are masked).
type Example struct {
	Key      string `json:"key"` // names the example in errors and orders shuffles
	Messages Chat   `json:"messages"`
	Loss     []int  `json:"loss"` // indices into Messages; each must be an assistant message
}

// Hyper are the hyperparameters of supervised fine-tuning (paper §5; PROTOCOL §6).
type Hyper struct {
	LearningRate float64 `json:"learning_rate" yaml:"learning_rate"`
	Epochs       int     `json:"epochs" yaml:"epochs"`
	BatchSize    int     `json:"batch_size" yaml:"batch_size"` // examples per optimiser step
	WarmupRatio  float64 `json:"warmup_ratio" yaml:"warmup_ratio"`
	WeightDecay  float64 `json:"weight_decay" yaml:"weight_decay"`
	Beta1        float64 `json:"beta1" yaml:"beta1"`
	Beta2        float64 `json:"beta2" yaml:"beta2"`
	Epsilon      float64 `json:"epsilon" yaml:"epsilon"`
	ClipNorm     float64 `json:"clip_norm" yaml:"clip_norm"` // global gradient norm; 0 = off
	HeldOut      float64 `json:"held_out" yaml:"held_out"`   // share of examples kept for eval loss
	Seed         uint64  `json:"seed" yaml:"seed"`           // orders the examples
	LoRA         *LoRA   `json:"lora,omitempty" yaml:"lora"` // nil: all weights are trained, as in the paper

	// GradientCheckpointing computes activations again in the backward pass instead of keeping
	// them: less memory, about a third more time, the same result.
	GradientCheckpointing bool `json:"gradient_checkpointing,omitempty" yaml:"gradient_checkpointing,omitempty"`
	// Storage is how the matrices that training multiplies with are held. In bf16 they are
	// rounded copies of float32 masters, which the optimiser changes, and the result is rounded
	// too; with LoRA the frozen matrices are rounded.
	Storage Storage `json:"storage,omitempty" yaml:"storage,omitempty"`
}

// Storage is a format of numbers in memory.
type Storage string

// The formats of [Hyper.Storage]; "" is float32.
const (
	Float32 Storage = "float32"
	BF16    Storage = "bf16"
)

// Validate says whether there is such a format.
func (s Storage) Validate() error {
	switch s {
	case "", Float32, BF16:
		return nil
	}
	return fmt.Errorf("storage is %q, want %s or %s", string(s), Float32, BF16)
}

// LoRA trains low-rank updates of the named projections instead of all weights
// (Hu et al., 2021). The fields are PEFT's r, lora_alpha, lora_dropout and target_modules.
type LoRA struct {
	Rank    int      `json:"rank" yaml:"rank"`
	Alpha   float64  `json:"alpha" yaml:"alpha"`                                       // updates are scaled by alpha/rank
	Dropout float64  `json:"dropout,omitempty" yaml:"dropout,omitempty"`               // probability that an update misses an element of its input, in training
	Targets []string `json:"target_modules,omitempty" yaml:"target_modules,omitempty"` // none: every projection of attention and feed-forward network
}

// PaperHyper are the paper's settings: AdamW, 2e-5 cosine with 10 % warm-up, batch 64, one epoch.
func PaperHyper() Hyper {
	return Hyper{LearningRate: 2e-5, Epochs: 1, BatchSize: 64, WarmupRatio: 0.1,
		Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, ClipNorm: 1, HeldOut: 0.05, Seed: 42}
}

// TuneStep is one optimiser step of a training curve. Losses are mean nats per trained token.
type TuneStep struct {
	Step         int     `json:"step"` // from 1
	Loss         float64 `json:"loss"`
	LearningRate float64 `json:"learning_rate"`
	GradNorm     float64 `json:"grad_norm"` // before clipping
}

// TuneLog is what a fine-tune reports.
type TuneLog struct {
	Steps        []TuneStep `json:"steps"`
	EvalLoss     float64    `json:"eval_loss"`      // held-out loss after training; 0 if nothing was held out
	EvalLossBase float64    `json:"eval_loss_base"` // held-out loss before the first step
	Examples     int        `json:"examples"`       // trained on
	HeldOut      int        `json:"held_out"`
	Tokens       int        `json:"tokens"`            // trained tokens per epoch
	Dropped      []string   `json:"dropped,omitempty"` // keys of examples too long for the context: never truncated
}

// Generator continues chats.
type Generator interface {
	// Generate draws the assistant message that follows chat.
	// It fails with ErrContextLength when the prompt leaves no room for a token, and with
	// ErrRefused when a provider declines.
	Generate(ctx context.Context, chat Chat, s Sampling) (Completion, error)
}

// Scorer tells how probable a given assistant message is.
type Scorer interface {
	// LogProb scores target as the assistant message that follows chat.
	// It fails with ErrCannotScore, ErrEmptyTarget or ErrContextLength; it never returns a
	// made-up score.
	LogProb(ctx context.Context, chat Chat, target string) (LogProb, error)
}

// Tuner makes a new model from this one.
type Tuner interface {
	// Tune fits a copy of the receiver's weights to examples and leaves the receiver as it
	// was. The copy is named name (for example "m1"); a Generator is all a caller gets.
	Tune(ctx context.Context, name string, examples []Example, h Hyper) (Generator, TuneLog, error)
}
