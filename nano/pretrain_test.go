package nano

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/prompt"
)

// The same world, seed and number of updates make the same files, whatever the workers.
func TestPretrainIsReproducible(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	for workers, dir := range map[int]string{1: one, 2: two} {
		w := load(t, "testdata/world2.yaml")
		if err := Pretrain(context.Background(), PretrainOptions{World: w, Out: dir, Steps: 3, Batch: 4, Workers: workers}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors", "pretrain.csv"} {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(two, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs with the number of workers", name)
		}
	}
}

func TestPretrainNeedsADirectory(t *testing.T) {
	if err := Pretrain(context.Background(), PretrainOptions{}); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("without a directory: %v", err)
	}
}

func TestPretrainStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Pretrain(ctx, PretrainOptions{Out: t.TempDir(), Steps: 3}); err == nil {
		t.Error("a cancelled run ended without an error")
	}
}

// The encoder puts loss on the messages that carry it, end marker included, and on no other.
func TestEncoderMasks(t *testing.T) {
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := trainTokenizer(NewCorpus(load(t, "world.yaml"), prompts, 1), 50, 400)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := encoder(tok)
	if err != nil {
		t.Fatal(err)
	}
	d := Document{Chat: lm.Chat{{Role: lm.User, Content: "Hi."}, {Role: lm.Assistant, Content: "Where do you live?"}}, Loss: []bool{false, true}}
	q, err := enc(d)
	if err != nil {
		t.Fatal(err)
	}
	var trained []int32
	for i, id := range q.Tokens {
		if q.Loss[i] {
			trained = append(trained, id)
		}
	}
	if got := tok.Decode(q.Tokens, false); got != "<|user|>Hi.<|end|><|assistant|>Where do you live?<|end|>" {
		t.Errorf("rendered %q", got)
	}
	if got := tok.Decode(trained, false); got != "Where do you live?<|end|>" {
		t.Errorf("loss on %q", got)
	}
}
