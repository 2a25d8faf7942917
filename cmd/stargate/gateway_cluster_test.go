package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"stargate/internal/temporaltest"
	"stargate/runner/cluster"
)

// A run with all that clusters of companies ask for: a client certificate, an API key, encrypted
// payloads, search attributes, versioned workers; and conversations pinned to the workers that
// have the asking policy, which are started as stargate status says.
func TestClusterBehindAGateway(t *testing.T) {
	s := newSite(t, true)
	gateway := temporaltest.NewGateway(t, s.temporal.Address(), temporaltest.GatewayOptions{Certificates: true, APIKey: "a key"})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	t.Setenv("TEMPORAL_ADDRESS", gateway.Address())
	t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", gateway.Cert)
	t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", gateway.Key)
	keys := file("payload", strings.Repeat("A", 43)+"=\n")
	server := []string{"--tls-ca", gateway.CA, "--api-key-file", file("api", "a key\n"), "--payload-keys", keys}
	stored := []string{"--ledger", s.ledger, "--store", s.store, "--workers", "1"}

	start := func(args ...string) *hand {
		h := &hand{path: program(t), args: append(append(args, server...), stored...)}
		h.start(t)
		t.Cleanup(func() { h.kill(t) })
		return h
	}
	text, err := os.ReadFile(s.file)
	must(t, err)
	smaller := strings.NewReplacer("{tasks: 4, personas: 3}", "{tasks: 2, personas: 2}", "samples: 3", "samples: 2", "win_pairs: 9", "win_pairs: 4")
	small := file("small.yaml", smaller.Replace(string(text)))
	run := start("run", "--experiment", small, "--out", filepath.Join(dir, "gated"), "--cluster", "--search-attributes", "--pin-checkpoints")
	workers := []*hand{start("worker", "--work", t.TempDir(), "--grace", "2s", "--deployment", "hosts", "--build", "1", "--current")}

	asks := regexp.MustCompile(`start stargate (worker --roles converse --checkpoint (\S+)), with`)
	had := map[string]bool{}
	var last string
	for began := time.Now(); ; time.Sleep(300 * time.Millisecond) {
		over, well := run.ended()
		if over && !well {
			t.Fatalf("the run ended with %s: %s", run.cmd.ProcessState, run.stderr)
		}
		if over {
			break
		}
		for _, w := range workers {
			if over, _ := w.ended(); over {
				t.Fatalf("a worker ended with %s: %s", w.cmd.ProcessState, w.stderr)
			}
		}
		if time.Since(began) > 5*time.Minute {
			t.Fatalf("the run does not end: %s", last)
		}
		last, _ = says(t, append([]string{"status", "gated"}, server...)...) // it may not have begun
		for _, m := range asks.FindAllStringSubmatch(last, -1) {
			if !had[m[2]] {
				had[m[2]] = true
				workers = append(workers, start(append(strings.Fields(m[1]), "--work", t.TempDir(), "--grace", "2s", "--deployment", "hosts", "--build", "1")...))
			}
		}
	}
	if len(had) != 2 {
		t.Errorf("workers were asked for with the checkpoints %v, want one of m0 and one of m1", had)
	}
	if out, ok := says(t, append([]string{"status", "gated"}, server...)...); !ok || !strings.Contains(out, "gated: completed") {
		t.Errorf("status: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "gated", "report.json")); err != nil {
		t.Error(err)
	}
	c, err := cluster.Connection{Address: gateway.Address(), CA: gateway.CA, Cert: gateway.Cert, Key: gateway.Key, APIKeyFile: filepath.Join(dir, "api")}.Dial(t.Context())
	must(t, err)
	defer c.Close()
	if found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "StargateRun = 'gated'"}); err != nil || len(found.GetExecutions()) != 5 {
		t.Errorf("by its search attribute %d executions are found, want 5: %v", len(found.GetExecutions()), err)
	}

	// What people see who lack something.
	for _, c := range []struct {
		lacks string
		args  []string
		wants string
	}{
		{"the API key", []string{"--tls-ca", gateway.CA}, "the Temporal server refuses: "},
		{"the authority", []string{"--api-key-file", filepath.Join(dir, "api")}, "name it with --tls-ca"},
		{"the payload keys", server[:4], "the stages are encrypted: "},
	} {
		if out, _ := says(t, append([]string{"status", "gated"}, c.args...)...); !strings.Contains(out, c.wants) {
			t.Errorf("without %s: %s", c.lacks, out)
		}
	}
}

// says runs the program, and returns what it says, and whether it went well.
func says(t *testing.T, args ...string) (text string, ok bool) {
	t.Helper()
	c := exec.Command(program(t), args...)
	c.Args[0] = "stargate" // TestMain's testscript.Main goes by the name
	out, err := c.CombinedOutput()
	return string(out), err == nil
}
