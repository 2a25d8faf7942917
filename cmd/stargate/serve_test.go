package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program serves the built-in model, and ends on a signal with success.
func TestServeProgram(t *testing.T) {
	c := exec.CommandContext(t.Context(), program(t), "serve", "--addr", "127.0.0.1:0", "--api-key-env", "STARGATE_TEST_KEY", "--grace", "5s")
	c.Env = append(c.Environ(), "STARGATE_TEST_KEY=secret")
	c.Stderr = new(bytes.Buffer)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v\n%s", err, c.Stderr)
	}
	url := strings.TrimSpace(line)
	ask := func(key string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/chat/completions",
			strings.NewReader(`{"model": "nano", "messages": [{"role": "user", "content": "My name is Ada."}], "max_tokens": 8, "temperature": 0}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := ask("secret"); status != http.StatusOK || !strings.Contains(body, `"role":"assistant"`) {
		t.Errorf("with the key: %d %s", status, body)
	}
	if status, body := ask("wrong"); status != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %d %s", status, body)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the server ended with %v\n%s", err, c.Stderr)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server does not end")
	}
}
