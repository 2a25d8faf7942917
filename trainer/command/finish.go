package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate/lm"
	"stargate/trainer"
	"stargate/trainer/trainlog"
)

// log is the training log as far as it is known: the printed lines, or the exact history where
// the program left it.
func (s *session) log() lm.TuneLog {
	log := s.parser.Log()
	paths := []string{filepath.Join(s.fields.Output, trainlog.StateFile)}
	if dir, _, err := s.checkpoint(); err == nil && dir != "" {
		paths = append(paths, filepath.Join(dir, trainlog.StateFile))
	}
	for _, p := range paths {
		exact, err := readState(p)
		if err != nil || len(exact.Steps) == 0 || len(log.Steps) > 0 && exact.Steps[len(exact.Steps)-1].Step < log.Steps[len(log.Steps)-1].Step {
			continue
		}
		log.Steps = exact.Steps
		if exact.EvalLoss != 0 {
			log.EvalLoss = exact.EvalLoss
		}
		if exact.EvalLossBase != 0 {
			log.EvalLossBase = exact.EvalLossBase
		}
		break
	}
	known := s.job.Set.Log()
	known.Steps, known.EvalLoss, known.EvalLossBase = log.Steps, log.EvalLoss, log.EvalLossBase
	return known
}

// finish checks what the program made and publishes it.
func (s *session) finish() (trainer.Result, error) {
	log := s.log()
	if !trainlog.Finite(log) {
		return trainer.Result{Log: log}, fmt.Errorf("the training log: %w; lower the learning rate", lm.ErrNonFinite)
	}
	made := s.fields.Output
	if err := tidy(made, s.job.Base); err != nil {
		return trainer.Result{Log: log}, err
	}
	var notes []string
	if len(log.Steps) == 0 {
		notes = append(notes, "The program printed no loss that could be read; log_patterns can teach how.")
	}
	if len(s.job.Set.Held) > 0 && log.EvalLoss == 0 {
		notes = append(notes, "The program told no loss on the held-out rows.")
	}
	r, err := s.work.Publish(made, trainer.Result{Log: log, Notes: notes})
	if errors.Is(err, trainer.ErrIncomplete) {
		return trainer.Result{Log: log}, fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return r, err
}

// litter is what trainers leave in an output directory that is no part of a model.
var litter = []string{"checkpoint-*", "global_step*", "runs", "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state*.pth", "tmp-checkpoint-*", "debug.log"}

// textFiles are those of the base model that training does not change. The rows were made with
// the base model's own, so the result gets the same.
var textFiles = []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"}

// tidy takes litter out of a model directory, and gives a whole model the base's tokenizer and
// chat template.
func tidy(dir, base string) error {
	for _, pattern := range litter {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := os.RemoveAll(p); err != nil {
				return err
			}
		}
	}
	if kind, err := trainer.Inspect(dir); err != nil || kind != trainer.Model {
		return nil // an adapter needs none; what is wrong is said when it is published
	}
	for _, name := range textFiles {
		data, err := os.ReadFile(filepath.Join(base, name))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(base); err != nil { // a name of the Hub: the program brought its files
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := trainer.ReplaceFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}
