//go:build unix

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stargate/internal/llama"
	"stargate/internal/safetensors"
	"stargate/lm"
	"stargate/lm/trainset"
	"stargate/trainer"
)

// doubleOf are programs that the test binary plays under their own names.
var doubleOf = map[string]func(program string, args []string) int{}

// TestMain lets the test binary be the programs that the tests start.
func TestMain(m *testing.M) {
	switch double := doubleOf[filepath.Base(os.Args[0])]; {
	case double != nil:
		os.Exit(double(filepath.Base(os.Args[0]), os.Args[1:]))
	case os.Getenv("FAKE_TRAINER") != "":
		os.Exit(fakeTrainer(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
	case os.Getenv("TRAIN_CHILD") != "":
		os.Exit(trainChild(os.Getenv("TRAIN_CHILD")))
	}
	os.Exit(m.Run())
}

// fakeTrainer is a training program that prints what transformers prints and leaves a real, if
// tiny, model. What it does is a word:
//
//	train    five steps, then the model
//	slow     the same, a step each time the file "go" in its directory is longer
//	fail     a checkpoint at step 2, then exit status 3; the next attempt goes on
//	silent   one line, then nothing
//	stubborn as silent, with a child in another session; neither heeds SIGTERM
//	nothing  no model
//	cut      a model whose weights are cut short
//	nan      losses that are no numbers
func fakeTrainer(do, train, output, attempt, resume string) int {
	resume = strings.TrimPrefix(resume, "resume=")
	fmt.Fprintln(os.Stderr, "some warning")
	appendFile(filepath.Join(filepath.Dir(train), "starts"), fmt.Sprintln(attempt, os.Getpid()))
	from := 0
	if resume != "" {
		from, _ = strconv.Atoi(strings.TrimPrefix(filepath.Base(resume), "checkpoint-"))
		fmt.Println("resuming from", resume)
	}
	if do == "stubborn" || do == "child" {
		signal.Ignore(syscall.SIGTERM)
		if do == "stubborn" {
			child := exec.Command(os.Args[0], "child", train, output, attempt, resume)
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := child.Start(); err != nil {
				return 1
			}
		}
		fmt.Println("{'loss': 9.0, 'learning_rate': 0.001}")
		time.Sleep(time.Minute)
		return 1
	}
	if from == 0 {
		fmt.Println("{'eval_loss': 7.5}")
	}
	for step := from + 1; step <= 5; step++ {
		loss := strconv.FormatFloat(8-float64(step), 'g', -1, 64)
		if do == "nan" {
			loss = "nan"
		}
		fmt.Printf("{'loss': %s, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': %.1f}\n", loss, float64(step)/5)
		switch {
		case do == "silent":
			time.Sleep(time.Minute)
		case do == "slow":
			for size(filepath.Join(filepath.Dir(train), "go")) < step {
				time.Sleep(10 * time.Millisecond)
			}
		case do == "fail" && step == 2 && resume == "":
			checkpoint(output, 2, `{"log_history": [{"step": 1, "loss": 7}, {"step": 2, "loss": 6}]}`)
			checkpoint(output, 4, `{"log_hist`) // one that was not finished
			fmt.Println("RuntimeError: out of memory")
			return 3
		}
	}
	fmt.Println("{'eval_loss': 2.5}")
	if do == "nothing" {
		return 0
	}
	files, err := tiny(1).Files(safetensors.F32)
	if err != nil {
		return 1
	}
	os.MkdirAll(output, 0o755)
	for name, data := range files {
		if do == "cut" && strings.HasSuffix(name, ".safetensors") {
			data = data[:len(data)-10]
		}
		if err := os.WriteFile(filepath.Join(output, name), data, 0o644); err != nil {
			return 1
		}
	}
	os.WriteFile(filepath.Join(output, "training_args.bin"), []byte("x"), 0o644)
	return 0
}

func checkpoint(output string, step int, state string) {
	dir := filepath.Join(output, fmt.Sprintf("checkpoint-%d", step))
	os.MkdirAll(dir, 0o755)
	os.WriteFile(filepath.Join(dir, "trainer_state.json"), []byte(state), 0o644)
}

func appendFile(path, text string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		panic(err)
	}
}

func size(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return int(info.Size())
}

func tiny(seed uint64) *llama.Model {
	m, err := llama.NewModel(llama.Config{ModelType: "llama", VocabSize: 12, HiddenSize: 8, IntermediateSize: 8, NumHiddenLayers: 1, NumAttentionHeads: 1, NumKeyValueHeads: 1, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5}.WithDefaults())
	if err != nil {
		panic(err)
	}
	m.Init(seed)
	return m
}

// rows are a training set of ten rows, two of them held out.
func rows() trainset.Set {
	var s trainset.Set
	for i := range 10 {
		r := trainset.Row{Key: fmt.Sprint(i), Tokens: []int32{1, int32(2 + i%4), 3, 4}, Loss: []bool{false, false, true, true}}
		if i < 8 {
			s.Train = append(s.Train, r)
		} else {
			s.Held = append(s.Held, r)
		}
	}
	return s
}

func hyper() lm.Hyper {
	h := lm.PaperHyper()
	h.BatchSize = 2
	return h
}

// jobIn is a job whose result is dir/m1.
func jobIn(dir string) trainer.Job {
	base := filepath.Join(dir, "base")
	os.MkdirAll(base, 0o755)
	os.WriteFile(filepath.Join(base, "tokenizer.json"), []byte(`{"of": "the base"}`), 0o644)
	return trainer.Job{Name: "m1", Base: base, Set: rows(), Hyper: hyper(), Dir: filepath.Join(dir, "m1")}
}

// lastOf is a job's last attempt, nil if there is none.
func lastOf(j trainer.Job) (*attempt, error) {
	all, err := allAttempts(j.WorkDir())
	if len(all) == 0 {
		return nil, err
	}
	return all[len(all)-1], err
}

func fake(do string) Config {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	template, err := filepath.Abs("testdata/fake")
	if err != nil {
		panic(err)
	}
	return Config{Template: template, Options: map[string]string{"program": program, "do": do}, Grace: 200 * time.Millisecond, Pause: time.Millisecond}
}

// trainChild is a process that trains until somebody kills it; what it was told is JSON.
func trainChild(told string) int {
	var c struct {
		Dir    string
		Config Config
	}
	if err := json.Unmarshal([]byte(told), &c); err != nil {
		panic(err)
	}
	t, err := New(c.Config)
	if err != nil {
		panic(err)
	}
	j := jobIn(c.Dir)
	j.Observe = func(p trainer.Progress) { fmt.Printf("%+v\n", p) }
	if _, err := t.Train(context.Background(), j); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
