package trainlog

import (
	"encoding/json"
	"fmt"
	"io"

	"stargate/lm"
)

// StateFile is where transformers' Trainer keeps its history, in a checkpoint and, if the
// program asks for it, in the output directory.
const StateFile = "trainer_state.json"

// ReadState reads trainer_state.json: the history that was logged, with the steps as counted.
func ReadState(r io.Reader) (lm.TuneLog, error) {
	// The fields that matter here of transformers' TrainerState.
	var state struct {
		History []struct {
			Step     int      `json:"step"`
			Loss     *float64 `json:"loss"`
			Rate     float64  `json:"learning_rate"`
			GradNorm float64  `json:"grad_norm"`
			EvalLoss *float64 `json:"eval_loss"`
		} `json:"log_history"`
	}
	if err := json.NewDecoder(r).Decode(&state); err != nil {
		return lm.TuneLog{}, fmt.Errorf("%s: %w", StateFile, err)
	}
	var log lm.TuneLog
	for _, h := range state.History {
		if h.Loss != nil {
			log.Steps = append(log.Steps, lm.TuneStep{Step: h.Step, Loss: *h.Loss, LearningRate: h.Rate, GradNorm: h.GradNorm})
		}
		if h.EvalLoss != nil {
			if h.Step == 0 {
				log.EvalLossBase = *h.EvalLoss
			} else {
				log.EvalLoss = *h.EvalLoss
			}
		}
	}
	return log, nil
}
