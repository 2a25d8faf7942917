package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/nano"
	"stargate/serve"
)

// audit runs the command.
func audit(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append([]string{"audit"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestAuditCommand(t *testing.T) {
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	m, err := local.Open(files, local.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	server := serve.New(m, serve.Options{Name: "nano", Keys: []string{"secret-of-the-test"}})
	eos := m.Ends()[0]
	// A gateway that counts the end of the turn: it asks for it and adds it to the last token.
	wrong := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q, a map[string]any
		body, _ := io.ReadAll(r.Body)
		rec := httptest.NewRecorder()
		if json.Unmarshal(body, &q) == nil && r.URL.Path == "/tokenize" && q["continue_final_message"] == true {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			server.ServeHTTP(rec, r)
			if json.Unmarshal(rec.Body.Bytes(), &a) == nil {
				a["tokens"], a["count"] = append(a["tokens"].([]any), eos), a["count"].(float64)+1
			}
			_ = json.NewEncoder(w).Encode(a)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		server.ServeHTTP(w, r)
	})
	t.Setenv("STARGATE_TEST_KEY", "secret-of-the-test")
	good, bad := httptest.NewServer(server), httptest.NewServer(wrong)
	defer good.Close()
	defer bad.Close()

	code, out, errs := audit(good.URL, "--api-key-env", "STARGATE_TEST_KEY")
	if code != exitOK || errs != "" || !strings.Contains(out, "second way  ok") || !strings.Contains(out, "drawn       ok") {
		t.Errorf("a good server: %d\n%s%s", code, out, errs)
	}
	code, out, errs = audit(good.URL+"/v1", "--api-key-env", "STARGATE_TEST_KEY", "--json")
	var a remote.Audit
	if err := json.Unmarshal([]byte(out), &a); code != exitOK || err != nil || len(a.Pairs) != 8 || a.Facts.Server != remote.Stargate {
		t.Errorf("as JSON: %d, %v\n%s%s", code, err, out, errs)
	}
	code, out, errs = audit(bad.URL, "--api-key-env", "STARGATE_TEST_KEY")
	if code != exitFailed || !strings.Contains(errs, "the end of the turn") || strings.Contains(out+errs, "secret-of-the-test") {
		t.Errorf("a server that counts the end of the turn: %d\n%s%s", code, out, errs)
	}
	t.Setenv("STARGATE_TEST_KEY", "old-secret")
	code, out, errs = audit(good.URL, "--api-key-env", "STARGATE_TEST_KEY")
	if code != exitFailed || !strings.Contains(errs, "STARGATE_TEST_KEY") || strings.Contains(out+errs, "old-secret") {
		t.Errorf("an expired key: %d\n%s%s", code, out, errs)
	}
	for _, args := range [][]string{{}, {"127.0.0.1:8000"}, {good.URL, "--server", "vlm"}, {good.URL, "--api-key-env", "STARGATE_TEST_NO_KEY"}} {
		if code, _, errs := audit(args...); code != exitUsage {
			t.Errorf("audit %q: %d %s", args, code, errs)
		}
	}
}
