//go:build unix

package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/lm"
	"stargate/trainer"
)

func train(t *testing.T, ctx context.Context, c Config, j trainer.Job) (trainer.Result, error) {
	t.Helper()
	tr, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tr.Train(ctx, j)
}

// starts are the attempts that the program saw.
func starts(t *testing.T, j trainer.Job) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(j.WorkDir(), dataDir, "starts"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

var fiveSteps = lm.TuneLog{
	Steps: []lm.TuneStep{{Step: 1, Loss: 7, LearningRate: 1e-5, GradNorm: 1}, {Step: 2, Loss: 6, LearningRate: 1e-5, GradNorm: 1}, {Step: 3, Loss: 5, LearningRate: 1e-5, GradNorm: 1},
		{Step: 4, Loss: 4, LearningRate: 1e-5, GradNorm: 1}, {Step: 5, Loss: 3, LearningRate: 1e-5, GradNorm: 1}},
	EvalLossBase: 7.5, EvalLoss: 2.5, Examples: 8, HeldOut: 2, Tokens: 16,
}

func TestAProgramTrains(t *testing.T) {
	j := jobIn(t.TempDir())
	var seen []trainer.Progress
	j.Observe = func(p trainer.Progress) { seen = append(seen, p) }
	r, err := train(t, t.Context(), fake("train"), j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
	if r.Kind != trainer.Model || r.Dir != j.Dir {
		t.Errorf("result %+v", r)
	}
	if kind, err := trainer.Inspect(j.Dir); kind != trainer.Model || err != nil {
		t.Errorf("%s holds %q: %v", j.Dir, kind, err)
	}
	if data, err := os.ReadFile(filepath.Join(j.Dir, "tokenizer.json")); err != nil || !strings.Contains(string(data), "the base") {
		t.Errorf("the base model's tokenizer is not there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(j.Dir, "training_args.bin")); err == nil {
		t.Error("litter was published")
	}
	last := seen[len(seen)-2]
	if last.Step != 5 || last.Loss != 3 {
		t.Errorf("progress %+v", seen)
	}
	// A finished job is not done again.
	again, err := train(t, t.Context(), fake("train"), j)
	if err != nil || starts(t, j) != 1 {
		t.Errorf("%d starts, %v", starts(t, j), err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("the second result differs:\n%s", diff)
	}
	// Another one does not take its place.
	other := j
	other.Hyper.LearningRate *= 2
	if _, err := train(t, t.Context(), fake("train"), other); !errors.Is(err, trainer.ErrOtherJob) {
		t.Errorf("another job in its directory: %v", err)
	}
}

// "retried from its checkpoint": the unfinished one is passed over.
func TestAFailedAttemptGoesOn(t *testing.T) {
	j := jobIn(t.TempDir())
	c := fake("fail")
	_, err := train(t, t.Context(), c, j)
	var failed *AttemptError
	if !errors.As(err, &failed) || failed.Code != 3 || failed.Of != 1 {
		t.Fatalf("%v, want exit status 3", err)
	}
	if !strings.Contains(err.Error(), "RuntimeError: out of memory") || !strings.Contains(err.Error(), failed.Log) {
		t.Errorf("the error does not show the log's end: %v", err)
	}
	// Another call begins another attempt, and still knows what the first one logged.
	again, err := train(t, t.Context(), c, j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, again.Log); diff != "" || starts(t, j) != 2 {
		t.Errorf("%d starts; log, want -, got +:\n%s", starts(t, j), diff)
	}
	j = jobIn(t.TempDir())
	c.Retries = 2
	r, err := train(t, t.Context(), c, j)
	if err != nil {
		t.Fatal(err)
	}
	if n := starts(t, j); n != 2 {
		t.Errorf("%d starts", n)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
	log, err := os.ReadFile(filepath.Join(j.WorkDir(), attemptDir+"02", logFile))
	if err != nil || !strings.Contains(string(log), "checkpoint-2") {
		t.Errorf("the second attempt's log: %q, %v", log, err)
	}
}

func TestWhatGoesWrong(t *testing.T) {
	for do, c := range map[string]struct {
		change func(*Config)
		want   error
		text   string
		starts int
	}{
		"silent":  {func(c *Config) { c.Stall, c.Retries = 300*time.Millisecond, 1 }, ErrStalled, "attempt 2 of 2", 2},
		"nothing": {nil, ErrOutput, "config.json", 1},
		"cut":     {func(c *Config) { c.Retries = 3 }, ErrOutput, "cut short", 1},
		"nan":     {nil, lm.ErrNonFinite, "learning rate", 1},
		"train": {func(c *Config) { c.Options["program"], c.Retries = "/no/such/program", 5 },
			nil, "exit status 127", 0},
	} {
		t.Run(do, func(t *testing.T) {
			j, config := jobIn(t.TempDir()), fake(do)
			if c.change != nil {
				c.change(&config)
			}
			_, err := train(t, t.Context(), config, j)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v and %q", err, c.want, c.text)
			}
			if n := starts(t, j); n != c.starts {
				t.Errorf("%d starts, want %d", n, c.starts)
			}
			if _, err := os.Stat(j.Dir); err == nil {
				t.Error("something was published")
			}
			left(t, j)
		})
	}
}

// left fails if anything of a job's last attempt is alive.
func left(t *testing.T, j trainer.Job) {
	t.Helper()
	a, err := lastOf(j)
	if err != nil {
		t.Fatal(err)
	}
	if a == nil {
		return
	}
	pids, err := survivors(a)
	if err != nil {
		t.Fatal(err)
	}
	if living, err := alive(a); len(pids) > 0 || living || err != nil {
		t.Errorf("processes %v are left, lock held %v, %v", pids, living, err)
	}
}

// Neither the program nor its child in another session heeds SIGTERM; both are ended.
func TestCancelEndsEverything(t *testing.T) {
	j := jobIn(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j.Observe = func(p trainer.Progress) {
		if p.Loss == 9 {
			a, err := lastOf(j)
			if err != nil {
				t.Error(err)
			}
			for starts(t, j) < 2 { // the child's too
				time.Sleep(5 * time.Millisecond)
			}
			if pids, err := survivors(a); err != nil || len(pids) < 3 {
				t.Errorf("processes %v: the script, the program and its child are missing; %v", pids, err)
			}
			cancel()
		}
	}
	if _, err := train(t, ctx, fake("stubborn"), j); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	left(t, j)
	// What was cancelled does not count as a failure; the next call starts anew. The work
	// directory belongs to the job with its options, so this is the same program.
	c := fake("stubborn")
	c.Stall = 200 * time.Millisecond
	if _, err := train(t, t.Context(), c, j); !errors.Is(err, ErrStalled) {
		t.Errorf("%v, want %v", err, ErrStalled)
	}
	left(t, j)
}

// killed lets another process train a slow program in dir, and kills it after two steps.
func killed(t *testing.T, dir string, c Config) {
	t.Helper()
	j := jobIn(dir)
	told, err := json.Marshal(map[string]any{"Dir": dir, "Config": c})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "TRAIN_CHILD="+string(told))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	proceed := filepath.Join(j.WorkDir(), dataDir, "go")
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Step:1 ") {
			appendFile(proceed, "x")
		}
		if strings.Contains(lines.Text(), "Step:2 ") {
			break
		}
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	child.Wait()
}

// This process is killed with -9 while the program trains. The next one finds the program still
// at work, does not start it again, and publishes what it made.
func TestKilledWatcher(t *testing.T) {
	dir := t.TempDir()
	j := jobIn(dir)
	killed(t, dir, fake("slow"))
	a, err := lastOf(j)
	if err != nil {
		t.Fatal(err)
	}
	if living, err := alive(a); !living || err != nil {
		t.Fatalf("the program died with its watcher: %v", err)
	}
	notes, proceed := "", filepath.Join(j.WorkDir(), dataDir, "go")
	j.Observe = func(p trainer.Progress) {
		notes += p.Note + "\n"
		if p.Step > 0 && p.Loss > 0 {
			appendFile(proceed, "x")
		}
	}
	r, err := train(t, t.Context(), fake("slow"), j)
	if err != nil {
		t.Fatal(err)
	}
	if n := starts(t, j); n != 1 {
		t.Errorf("the program was started %d times", n)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
	if !strings.Contains(notes, "going on with attempt 1") {
		t.Errorf("notes %q", notes)
	}
}

func TestConfigsAreChecked(t *testing.T) {
	for text, c := range map[string]Config{
		"template is missing": {},
		"axolotl":             {Template: "no-such"},
		"precision":           {Template: "trl", Precision: "fp8"},
		"eval_loss":           {Template: "trl", LogPatterns: []string{"x"}},
		"retries":             {Template: "trl", Retries: -1},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q in it", c, err, text)
		}
	}
	for _, c := range []struct {
		batch, processes, micro int
		want                    string
	}{
		{64, 1, 0, "4 16 <nil>"}, {64, 8, 8, "8 1 <nil>"}, {6, 1, 0, "3 2 <nil>"}, {7, 1, 0, "1 7 <nil>"}, {64, 3, 0, "0 0 batch_size 64"}, {64, 2, 5, "0 0 batch_size 64 on 2"},
	} {
		micro, passes, err := Config{Processes: c.processes, MicroBatch: c.micro}.accumulation(c.batch)
		if got := fmt.Sprint(micro, passes, err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
