package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/export"
	"stargate/lm"
	"stargate/lm/trainset"
	"stargate/trainer"
)

// chats are examples of one and two trained turns.
func chats() []lm.Example {
	var xs []lm.Example
	for i := range 12 {
		x := lm.Example{Key: fmt.Sprintf("x%02d", i), Loss: []int{1}, Messages: lm.Chat{{Role: lm.User, Content: fmt.Sprintf("My name is Ada. Plan thing %d.", i)}, {Role: lm.Assistant, Content: "What do you like?"}}}
		if i%3 == 0 {
			x.Messages = append(x.Messages, lm.Message{Role: lm.User, Content: "Tea."}, lm.Message{Role: lm.Assistant, Content: "Have some tea."})
			x.Loss = []int{3} // the question is not trained
		}
		xs = append(xs, x)
	}
	return xs
}

// The three kinds of files give the same model, and another tokenizer's export is refused.
func TestTuneReadsThreeKindsOfFiles(t *testing.T) {
	dir := t.TempDir()
	text, err := openText("")
	if err != nil {
		t.Fatal(err)
	}
	var canonical, messages, tokens bytes.Buffer
	w := export.NewWriter(&canonical)
	for _, x := range chats() {
		e, err := export.Encode(text, x, 1, export.Provenance{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&messages).Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := trainset.Encode(text, chats())
	if err != nil {
		t.Fatal(err)
	}
	if err := trainset.WriteKeyed(&tokens, rows); err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for name, data := range map[string]string{"canonical": canonical.String(), "messages": messages.String(), "tokens": tokens.String()} {
		out := filepath.Join(dir, name)
		if err := os.WriteFile(out+".jsonl", []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if code := run([]string{"tune", "--data", out + ".jsonl", "--out", out, "--batch-size", "4", "--held-out", "0.2", "--learning-rate", "1e-3", "--json"}, strings.NewReader(""), &stdout, &stderr); code != exitOK {
			t.Fatalf("%s: exit status %d: %s", name, code, stderr.String())
		}
		var last tuneLine
		for line := range strings.Lines(stdout.String()) {
			last = tuneLine{}
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatalf("%s: %v: %s", name, err, line)
			}
		}
		if last.Result == nil || last.Result.Kind != trainer.Model {
			t.Fatalf("%s: the last line is %s", name, stdout.String())
		}
		digests[last.Result.Digest] = name
	}
	if len(digests) != 1 {
		t.Errorf("the models differ: %v", digests)
	}

	foreign := strings.Replace(canonical.String(), text.TokenizerDigest(), strings.Repeat("0", 64), 1)
	path := filepath.Join(dir, "foreign.jsonl")
	if err := os.WriteFile(path, []byte(foreign), 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if code := run([]string{"tune", "--data", path, "--out", filepath.Join(dir, "foreign")}, strings.NewReader(""), &bytes.Buffer{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "another tokenizer") {
		t.Errorf("exit status %d: %s", code, stderr.String())
	}
}
