package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"stargate/lm"
	"stargate/lm/local"
)

// openaiVersion is the release of OpenAI's client for Node that the test installs.
const openaiVersion = "7.57.0"

// OpenAI's own client for Node talks to the server: testdata/openai_client.mjs has the
// expectations. Without Node, npm or their registry there is nothing to test.
func TestOpenAIClient(t *testing.T) {
	if testing.Short() {
		t.Skip("installs an npm package")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--fetch-retries=0", "openai@"+openaiVersion)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm install openai: %v\n%s", err, out)
	}
	script, err := os.ReadFile("testdata/openai_client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "client.mjs")
	if err := os.WriteFile(path, script, 0o644); err != nil {
		t.Fatal(err)
	}

	m := testModel(t, endless, local.Options{Workers: 2})
	s := New(m, Options{Name: "tiny", Keys: []string{"secret"}})
	hs := httptest.NewServer(s)
	defer hs.Close()
	c := exec.CommandContext(ctx, node, path, hs.URL+"/v1", "secret", "tiny")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("the client: %v\n%s%s", err, out, stderr.Bytes())
	}
	var got struct {
		Content      string
		FirstLogProb float64 `json:"first_logprob"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("the client said %s: %v", out, err)
	}
	chat := lm.Chat{{Role: lm.User, Content: "I like the theme of the thing."}}
	sampling := lm.Sampling{Temperature: 1.2, TopP: 0.9, MaxTokens: 24, Seed: 7}
	prompt, err := m.Prompt(chat, true)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Continue(t.Context(), local.Request{Prompt: prompt, Sampling: sampling, LogProbs: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Content != want.Text || got.FirstLogProb != want.Drawn[0].LogProb {
		t.Errorf("the client got %+v, in process it is %q, %v", got, want.Text, want.Drawn[0].LogProb)
	}
	eventually(t, "the broken-off request is gone", func() bool { return m.Stats().Running == 0 && s.places.taken.Load() == 0 })
}
