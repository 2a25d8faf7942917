package tinker

import (
	"encoding/json"
	"errors"

	"stargate/lm/trainset"
)

// The bodies of requests and answers, as far as they are used here.

type sessionRequest struct {
	Tags       []string       `json:"tags"`
	Metadata   map[string]any `json:"user_metadata"`
	SDKVersion string         `json:"sdk_version"`
	Type       string         `json:"type"`
}

type sessionAnswer struct {
	SessionID string `json:"session_id"`
	Error     string `json:"error_message"`
}

type heartbeatRequest struct {
	SessionID string `json:"session_id"`
	Type      string `json:"type"`
}

type loraConfig struct {
	Rank         int    `json:"rank"`
	Seed         uint64 `json:"seed"`
	TrainUnembed bool   `json:"train_unembed"`
	TrainMLP     bool   `json:"train_mlp"`
	TrainAttn    bool   `json:"train_attn"`
}

type modelRequest struct {
	SessionID  string         `json:"session_id"`
	ModelSeqID int            `json:"model_seq_id"`
	BaseModel  string         `json:"base_model"`
	LoRA       loraConfig     `json:"lora_config"`
	Metadata   map[string]any `json:"user_metadata,omitempty"`
	Type       string         `json:"type"`
}

// future is what a request is answered with at once. create_model may tell the model's id here
// or in the result.
type future struct {
	RequestID string `json:"request_id"`
	ModelID   string `json:"model_id,omitempty"`
}

type unloadRequest struct {
	ModelID string `json:"model_id"`
	Type    string `json:"type"`
}

type retrieveRequest struct {
	RequestID string `json:"request_id"`
}

// chunk is a stretch of a model's input.
type chunk struct {
	Type   string  `json:"type"` // "encoded_text"
	Tokens []int32 `json:"tokens"`
}

type modelInput struct {
	Chunks []chunk `json:"chunks"`
}

// tensor is numbers with their type; some servers send the bare list.
type tensor[T any] struct {
	Data  []T    `json:"data"`
	Dtype string `json:"dtype,omitempty"`
	Shape []int  `json:"shape,omitempty"`
}

func (t *tensor[T]) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &t.Data)
	}
	type plain tensor[T]
	return json.Unmarshal(data, (*plain)(t))
}

func numbers[T any](data []T, dtype string) tensor[T] {
	return tensor[T]{data, dtype, []int{len(data)}}
}

type lossInputs struct {
	Targets tensor[int32]   `json:"target_tokens"`
	Weights tensor[float64] `json:"weights"`
}

// datum is a row: position i of the input predicts target i, whose loss is multiplied by weight
// i.
type datum struct {
	Inputs lossInputs `json:"loss_fn_inputs"`
	Model  modelInput `json:"model_input"`
}

// newDatum is a row whose losses are multiplied by its weights and by scale. What follows the
// last token with a loss is left out: nothing depends on it.
func newDatum(r trainset.Row, scale float64) (datum, error) {
	last := -1
	for t, l := range r.Loss {
		if l {
			last = t
		}
	}
	if last < 1 {
		return datum{}, errors.New("the row has no token to predict")
	}
	weights := make([]float64, last)
	for t := range weights {
		weights[t] = scale * r.Weight(t+1)
	}
	return datum{
		Inputs: lossInputs{Targets: numbers(r.Tokens[1:last+1], "int64"), Weights: numbers(weights, "float32")},
		Model:  modelInput{[]chunk{{"encoded_text", r.Tokens[:last]}}},
	}, nil
}

type lossRequest struct {
	Data   []datum `json:"data"`
	LossFn string  `json:"loss_fn"`
}

type forwardBackwardRequest struct {
	ModelID string      `json:"model_id"`
	Input   lossRequest `json:"forward_backward_input"`
	SeqID   int         `json:"seq_id"`
}

type forwardRequest struct {
	ModelID string      `json:"model_id"`
	Input   lossRequest `json:"forward_input"`
	SeqID   int         `json:"seq_id"`
}

// lossResult has, for each datum, the log-probabilities of its targets.
type lossResult struct {
	Outputs []struct {
		LogProbs tensor[float64] `json:"logprobs"`
	} `json:"loss_fn_outputs"`
}

type adamParams struct {
	LearningRate float64 `json:"learning_rate"`
	Beta1        float64 `json:"beta1"`
	Beta2        float64 `json:"beta2"`
	Eps          float64 `json:"eps"`
	WeightDecay  float64 `json:"weight_decay"`
	ClipNorm     float64 `json:"grad_clip_norm"` // 0: no clipping
}

type optimRequest struct {
	ModelID string     `json:"model_id"`
	Adam    adamParams `json:"adam_params"`
	SeqID   int        `json:"seq_id"`
	Type    string     `json:"type"`
}

type optimResult struct {
	Metrics map[string]float64 `json:"metrics"`
}

type saveRequest struct {
	ModelID string `json:"model_id"`
	Path    string `json:"path"` // a name: letters, digits, _ and -
	SeqID   int    `json:"seq_id"`
	Type    string `json:"type"`
}

type saveResult struct {
	Path string `json:"path"` // tinker://MODEL/…
}

type loadRequest struct {
	ModelID   string `json:"model_id"`
	Path      string `json:"path"`
	Optimizer bool   `json:"optimizer"`
	SeqID     int    `json:"seq_id"`
	Type      string `json:"type"`
}

type capabilities struct {
	Models []struct {
		Name string `json:"model_name"`
	} `json:"supported_models"`
}

type archiveAnswer struct {
	URL string `json:"url"`
}
