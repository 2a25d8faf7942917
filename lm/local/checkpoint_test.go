package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stargate/lm"
)

// long is a fine-tune of 24 steps, of all weights or low-rank.
func long(lora bool) lm.Hyper {
	h := hyper()
	if h.Epochs = 6; lora {
		h.LoRA = &lm.LoRA{Rank: 2, Alpha: 4, Dropout: 0.2}
	}
	return h
}

// stopAt cancels a context when it has been asked n times whether it is done.
type stopAt struct {
	context.Context
	n int
}

func (s *stopAt) Err() error {
	if s.n--; s.n < 0 {
		return context.Canceled
	}
	return nil
}

// A fine-tune that is stopped again and again, each time further on, ends with the bits and the
// log of one that was not.
func TestStoppedTrainingGoesOn(t *testing.T) {
	for _, lora := range []bool{false, true} {
		m := newTestModel(t, Options{Workers: 2})
		want, wantLog, err := m.Tune(t.Context(), "m1", examples(40), long(lora))
		if err != nil {
			t.Fatal(err)
		}
		defer want.(*Model).Close()
		dir := t.TempDir()
		stops := 0
		for turns := 4; ; turns += 2 {
			got, log, err := m.TuneWithCheckpoints(&stopAt{t.Context(), turns}, "m1", examples(40), long(lora), Checkpoints{Dir: dir})
			if errors.Is(err, context.Canceled) {
				stops++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			defer got.(*Model).Close()
			if got.(*Model).Digest() != want.(*Model).Digest() {
				t.Errorf("LoRA %v: another model after %d stops", lora, stops)
			}
			if fmt.Sprint(log) != fmt.Sprint(wantLog) {
				t.Errorf("LoRA %v: the log is %+v, want %+v", lora, log, wantLog)
			}
			break
		}
		if stops < 3 {
			t.Errorf("only %d stops", stops)
		}
	}
}

// childVariable names the folder of a fine-tune that is there to be killed.
const childVariable = "STARGATE_TUNE_TO_BE_KILLED"

// TestMain is also the process that TestKilledTrainingGoesOn kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := trainToBeKilled(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func trainToBeKilled(dir string) error {
	files, err := testFiles()
	if err != nil {
		return err
	}
	w, err := randomWeights(300)
	if err != nil {
		return err
	}
	m, err := New(w, files, Options{Workers: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	h := long(strings.HasSuffix(dir, "lora"))
	h.Epochs = 30
	g, _, err := m.TuneWithCheckpoints(context.Background(), "m1", examples(40), h, Checkpoints{Dir: dir})
	if err != nil {
		return err
	}
	defer g.(*Model).Close()
	return os.WriteFile(filepath.Join(dir, "digest"), []byte(g.(*Model).Digest()), 0o644)
}

// A fine-tune that is killed (kill -9) at random moments and repeated gives the bits of one that
// was not, and begins none of the steps before its last checkpoint again.
func TestKilledTrainingGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, kind := range []string{"full", "lora"} {
		start := func(dir string) *exec.Cmd {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), childVariable+"="+dir)
			c.Stdout = new(bytes.Buffer)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			return c
		}
		digest := func(dir string) string {
			text, err := os.ReadFile(filepath.Join(dir, "digest"))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		whole, killed := filepath.Join(t.TempDir(), kind), filepath.Join(t.TempDir(), kind)
		began := time.Now()
		if c := start(whole); c.Wait() != nil {
			t.Fatal(c.Stdout)
		}
		took := time.Since(began)
		r := rand.New(rand.NewPCG(uint64(began.UnixNano()), 1))
		kills := 0
		for range 6 {
			c := start(killed)
			time.Sleep(time.Duration((0.1 + 0.4*r.Float64()) * float64(took)))
			if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if c.Wait() == nil {
				break // it was quicker
			}
			kills++
		}
		if c := start(killed); c.Wait() != nil {
			t.Fatal(c.Stdout)
		}
		if digest(killed) != digest(whole) {
			t.Errorf("%s: another model after %d kills", kind, kills)
		}
		t.Logf("%s: %d kills, the same model", kind, kills)
	}
}

// A checkpoint that cannot be gone on from is an error that says so, never a silent new start.
func TestForeignCheckpoints(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	dir := t.TempDir()
	_, _, err := m.TuneWithCheckpoints(&stopAt{t.Context(), 6}, "m1", examples(40), long(false), Checkpoints{Dir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	path := filepath.Join(dir, checkpointFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := long(false)
	other.LearningRate *= 2
	for want, c := range map[string]struct {
		data []byte
		h    lm.Hyper
	}{
		"another fine-tune": {whole, other},
		"corrupt":           {whole[:len(whole)-100], long(false)},
		"claims":            {bytes.Repeat([]byte{255}, 100), long(false)},
	} {
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := m.TuneWithCheckpoints(t.Context(), "m1", examples(40), c.h, Checkpoints{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q and the file in it", err, want)
		}
	}
}

// "refuse … NaN loss, with the row's key": the example is named.
func TestDivergenceNamesTheExample(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	h := hyper()
	h.LearningRate, h.WarmupRatio = 1e30, 0
	_, _, err := m.Tune(t.Context(), "m1", examples(40), h)
	if !errors.Is(err, lm.ErrNonFinite) || !strings.Contains(err.Error(), `example "pair-`) {
		t.Errorf("%v", err)
	}
}
