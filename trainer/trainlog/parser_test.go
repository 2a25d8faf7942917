package trainlog

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/lm"
)

func read(p *Parser, text string) lm.TuneLog {
	for line := range strings.Lines(text) {
		p.Line(line)
	}
	return p.Log()
}

func TestProgramsThatAreKnown(t *testing.T) {
	for name, c := range map[string]struct {
		patterns []string
		every    int
		text     string
		want     lm.TuneLog
	}{
		"TRL, with a bar": {
			text: "  0%|          | 0/2 [00:00<?, ?it/s]\r 50%|█████     | 1/2 [00:01<00:01,  1.2s/it]\r                                     \r" +
				"{'loss': 2.5, 'grad_norm': 3.25, 'learning_rate': 2e-05, 'num_tokens': 512.0, 'mean_token_accuracy': 0.41, 'epoch': 0.5}\n" +
				"{'loss': 2.0, 'grad_norm': 1.5, 'learning_rate': 0.0, 'epoch': 1.0}\n" +
				"{'train_runtime': 12.5, 'train_samples_per_second': 3.2, 'train_loss': 2.25, 'epoch': 1.0}\n",
			want: lm.TuneLog{Steps: []lm.TuneStep{{Step: 1, Loss: 2.5, LearningRate: 2e-5, GradNorm: 3.25}, {Step: 2, Loss: 2, GradNorm: 1.5}}},
		},
		"held-out losses before, between and after": {
			text: "{'eval_loss': 3.5, 'eval_runtime': 0.1}\n{'loss': 2.5, 'learning_rate': 1e-3}\n{'eval_loss': 3.0}\n{'loss': 2.25, 'learning_rate': 1e-3}\n{'eval_loss': 2.75, 'epoch': 1.0}\n",
			want: lm.TuneLog{Steps: []lm.TuneStep{{Step: 1, Loss: 2.5, LearningRate: 1e-3}, {Step: 2, Loss: 2.25, LearningRate: 1e-3}}, EvalLossBase: 3.5, EvalLoss: 2.75},
		},
		"axolotl, with a time before and names with slashes": {
			text: "[2026-11-25 10:00:00,123] [INFO] [axolotl.train] start\n" +
				"{'loss': 1.75, 'grad_norm': 0.5, 'learning_rate': 1.5e-05, 'ppl': 5.7546, 'memory/max_active (GiB)': 3.2, 'tokens/total': 4096, 'epoch': 0.02}\n",
			want: lm.TuneLog{Steps: []lm.TuneStep{{Step: 1, Loss: 1.75, LearningRate: 1.5e-5, GradNorm: 0.5}}},
		},
		"numbers printed as strings, every fifth step": {
			every: 5,
			text:  "{'loss': '1.75', 'grad_norm': '0.5', 'learning_rate': '1.5e-05', 'epoch': '0.02'}\n{'loss': '1.5', 'learning_rate': '1e-05'}\n",
			want:  lm.TuneLog{Steps: []lm.TuneStep{{Step: 5, Loss: 1.75, LearningRate: 1.5e-5, GradNorm: 0.5}, {Step: 10, Loss: 1.5, LearningRate: 1e-5}}},
		},
		"LLaMA-Factory's trainer_log.jsonl": {
			text: `{"current_steps": 10, "total_steps": 100, "loss": 1.25, "lr": 1e-05, "epoch": 0.1, "percentage": 10.0, "elapsed_time": "0:00:10", "remaining_time": "0:01:30"}` + "\n",
			want: lm.TuneLog{Steps: []lm.TuneStep{{Step: 10, Loss: 1.25, LearningRate: 1e-5}}},
		},
		"JSON lines": {
			text: `{"step":1,"steps":2,"loss":2,"learning_rate":0.001,"grad_norm":1}` + "\n" + `{"step":2,"steps":2,"loss":1.5,"learning_rate":0.0005,"grad_norm":2}` + "\n" + `{"eval_loss_base":3,"eval_loss":1.25}` + "\n",
			want: lm.TuneLog{EvalLossBase: 3, EvalLoss: 1.25, Steps: []lm.TuneStep{{Step: 1, Loss: 2, LearningRate: 1e-3, GradNorm: 1}, {Step: 2, Loss: 1.5, LearningRate: 5e-4, GradNorm: 2}}},
		},
		"a program of one's own": {
			patterns: []string{`iter (?P<step>\d+)/(?P<total>\d+): loss (?P<loss>\S+), lr (?P<lr>\S+)`, `val loss (?P<eval_loss>\S+)`},
			text:     "val loss 4.5\niter 3/9: loss 4.25, lr 1e-4\nloading shard 3/9: ok\nval loss 4.0\n",
			want:     lm.TuneLog{Steps: []lm.TuneStep{{Step: 3, Loss: 4.25, LearningRate: 1e-4}}, EvalLossBase: 4.5, EvalLoss: 4},
		},
		"nothing that is meant": {
			text: "{'loss_type': 'nll', 'train_loss': 2.0}\n{}\n}{\nloss is fine\n{'loss': fine}\nMap: 100%|██████████| 12/12 [00:00<00:00]\n",
			want: lm.TuneLog{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			patterns, err := CompilePatterns(c.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, read(&Parser{Every: c.every, Patterns: patterns}, c.text)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// An attempt that goes on from a checkpoint repeats the steps after it; each step counts once.
func TestRepeatedSteps(t *testing.T) {
	var p Parser
	read(&p, "{'eval_loss': 5}\n{'loss': 4}\n{'loss': 3}\n{'loss': 2.5}\n")
	p.Resume(2)
	got := read(&p, "{'loss': 2}\n{'eval_loss': 1}\n")
	want := lm.TuneLog{Steps: []lm.TuneStep{{Step: 1, Loss: 4}, {Step: 2, Loss: 3}, {Step: 3, Loss: 2}}, EvalLossBase: 5, EvalLoss: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	p.Resume(0)
	if got := read(&p, "{'eval_loss': 6}\n"); got.EvalLossBase != 6 || len(got.Steps) != 0 {
		t.Errorf("from the beginning: %+v", got)
	}
}

func TestBarsTellTheStep(t *testing.T) {
	var p Parser
	p.Total(185)
	if e, ok := p.Line("  6%|▋         | 12/185 [00:31<07:29,  2.60s/it]"); !ok || e.Step != 12 || e.Steps != 185 {
		t.Errorf("%v %+v", ok, e)
	}
	if e, ok := p.Line("Tokenizing: 50%|█████     | 500/1000 [00:31<07:29,  2.60s/it]"); ok {
		t.Errorf("another bar was taken for the steps: %+v", e)
	}
}

func TestLossesThatAreNoNumbers(t *testing.T) {
	var p Parser
	e, ok := p.Line("{'loss': nan, 'grad_norm': inf, 'learning_rate': 1e-05}")
	if !ok || !math.IsNaN(e.Train.Loss) || Finite(p.Log()) {
		t.Errorf("%v %+v", ok, e)
	}
}

func TestPatternsAreChecked(t *testing.T) {
	for pattern, want := range map[string]string{`(`: "missing", `(?P<loss>.)(?P<rate>.)`: "rate", `step (?P<step>\d+)`: "eval_loss"} {
		if _, err := CompilePatterns([]string{pattern}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestState(t *testing.T) {
	got, err := ReadState(strings.NewReader(`{"global_step": 2, "max_steps": 2, "log_history": [
		{"eval_loss": 3.5, "step": 0}, {"loss": 2.5, "learning_rate": 1e-05, "grad_norm": 1.5, "step": 1, "epoch": 0.5},
		{"loss": 2.25, "learning_rate": 0.0, "step": 2}, {"eval_loss": 2.0, "step": 2}, {"train_loss": 2.4, "step": 2}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := lm.TuneLog{Steps: []lm.TuneStep{{Step: 1, Loss: 2.5, LearningRate: 1e-5, GradNorm: 1.5}, {Step: 2, Loss: 2.25}}, EvalLossBase: 3.5, EvalLoss: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if _, err := ReadState(strings.NewReader("[")); err == nil {
		t.Error("half a file was read")
	}
}

func FuzzLine(f *testing.F) {
	f.Add("{'loss': 2.5, 'grad_norm': 3.25, 'learning_rate': 2e-05}")
	f.Add(`{"step": 9223372036854775807, "loss": 1e400}`)
	f.Add("\r 50%|█ | 1/2 [00:01<")
	f.Fuzz(func(t *testing.T, line string) {
		var p Parser
		p.Total(2)
		if e, ok := p.Line(line); ok && e.Step < 0 {
			t.Errorf("step %d", e.Step)
		}
		steps := p.Log().Steps
		for i := 1; i < len(steps); i++ {
			if steps[i].Step <= steps[i-1].Step {
				t.Errorf("steps %+v", steps)
			}
		}
	})
}
