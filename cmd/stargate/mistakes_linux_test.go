package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stargate/lm/local"
	"stargate/nano"
	"stargate/serve"
)

var update = flag.Bool("update", false, "rewrite golden files")

// What a user reads after the usual mistakes with model servers: what is wrong, where, and
// what to do next. Addresses are left out. The words for a connection that cannot be made are
// the system's: hence Linux.
func TestMistakesWithServers(t *testing.T) {
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	m, err := local.Open(files, local.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	short, err := local.Open(files, local.Options{Workers: 2, Context: 48})
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	names := map[string]string{} // by address
	listen := func(name string, start func(http.Handler) *httptest.Server, h http.Handler) string {
		s := start(h)
		t.Cleanup(s.Close)
		names[strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://")] = name
		return s.URL
	}
	good := listen("GOOD", httptest.NewServer, serve.New(m, serve.Options{Name: "nano"}))
	locked := listen("LOCKED", httptest.NewServer, serve.New(m, serve.Options{Name: "nano", Keys: []string{"right-key"}}))
	small := listen("SMALL", httptest.NewServer, serve.New(short, serve.Options{Name: "nano"}))
	secure := listen("SECURE", quietTLS, serve.New(m, serve.Options{Name: "nano"}))
	chats := listen("CHATS", httptest.NewServer, chatOnly("openai"))
	llama := listen("LLAMA", httptest.NewServer, chatOnly("llamacpp"))
	page := listen("PAGE", httptest.NewServer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>Welcome</html>") }))
	gone := httptest.NewServer(http.NotFoundHandler())
	names[strings.TrimPrefix(gone.URL, "http://")] = "GONE"
	gone.Close()
	t.Setenv("RIGHT_KEY", "right-key")
	t.Setenv("WRONG_KEY", "wrong-key")
	t.Setenv("NO_KEY", "")

	dir := t.TempDir()
	var got strings.Builder
	for _, mistake := range []struct {
		what  string
		roles string // the questioner is good where it is not named
		args  []string
	}{
		{what: "no server there", args: []string{"audit", gone.URL}},
		{what: "an address without http://", roles: "questioner: {url: 127.0.0.1:8000}"},
		{what: "http to a server that wants https", args: []string{"audit", strings.Replace(secure, "https", "http", 1)}},
		{what: "https to a server without it", args: []string{"audit", strings.Replace(good, "http", "https", 1)}},
		{what: "https with a certificate that nobody knows", args: []string{"audit", secure}},
		{what: "a page instead of a model server", roles: "questioner: {url: " + page + "}"},
		{what: "the wrong path", roles: "questioner: {url: " + good + "/api}"},
		{what: "no key", roles: "questioner: {url: " + locked + "}"},
		{what: "a wrong key", roles: "questioner: {url: " + locked + ", api_key_env: WRONG_KEY}"},
		{what: "a variable that is not set", roles: "questioner: {url: " + locked + ", api_key_env: NO_KEY}"},
		{what: "the key in the address", roles: "questioner: {url: '" + strings.Replace(good, "http://", "http://right-key@", 1) + "'}"},
		{what: "the key instead of its variable", roles: "questioner: {url: " + locked + ", api_key_env: sk-proj-0123456789abcdef}"},
		{what: "a model that the server does not have", roles: "questioner: {url: " + good + ", model: mistral-7b}"},
		{what: "a chat API as scorer", roles: "questioner: {url: " + chats + ", model: gpt-nano}"},
		{what: "llama.cpp as scorer", roles: "questioner: {url: " + llama + ", model: gpt-nano}"},
		{what: "a context that is too short", roles: "questioner: {url: " + small + "}"},
		{what: "a field that does not exist", roles: "questioner: {url: " + good + ", modell: nano}"},
		{what: "two models for one role", roles: "roleplayer: [{url: " + good + ", local: nano}]"},
		{what: "a rule as judge", roles: "judge: [{rule: {}}]"},
		{what: "a questioner that is not there", roles: "questioner: {local: nowhere}"},
		{what: "a temperature below 0", roles: "roleplayer: [{url: " + good + ", temperature: -1}]"},
		{what: "prompts that are not there", args: []string{"run", "--experiment", "nano", "--prompts", "nowhere", "--out", filepath.Join(dir, "run")}},
		{what: "no weights to train", roles: "questioner: {url: " + good + "}"},
	} {
		args := mistake.args
		if args == nil {
			file := filepath.Join(dir, "experiment.yaml")
			text := fmt.Sprintf("name: mine\nextends: nano\ndata: {a: {tasks: 1, personas: 1}, b: {tasks: 1, personas: 1}, test: {tasks: 1, personas: 1}}\nalgorithm: {samples: 1, iterations: 1}\nevaluation: {win_pairs: 1}\nroles: {%s}\ntrainer: {base: DIR}\n", mistake.roles)
			if mistake.what == "no weights to train" || !strings.Contains(mistake.roles, "questioner") {
				text = strings.Replace(text, "trainer: {base: DIR}\n", "", 1)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			args = []string{"run", "--experiment", file, "--out", filepath.Join(dir, "run")}
		}
		var out, errs bytes.Buffer
		code := run(args, strings.NewReader(""), &out, &errs)
		says := errs.String()
		for address, name := range names {
			says = strings.ReplaceAll(says, address, name)
		}
		says = strings.ReplaceAll(says, dir+string(filepath.Separator), "")
		says = durations.ReplaceAllString(says, "${1}TIME")
		if code == exitOK {
			t.Errorf("%s: the command succeeds", mistake.what)
		}
		if strings.Contains(says, "right-key") || strings.Contains(says, "wrong-key") {
			t.Errorf("%s: the key is shown: %s", mistake.what, says)
		}
		fmt.Fprintf(&got, "%s (%d)\n", mistake.what, code)
		// What comes before is what a run is likely to take, and its progress.
		_, says, _ = strings.Cut("\n"+says, "\nstargate: ")
		fmt.Fprintf(&got, "  stargate: %s", says)
		if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
			t.Fatal(err)
		}
	}
	const golden = "testdata/mistakes.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the messages are now\n%s\nwant\n%s(go test -run Mistakes -update rewrites them)", &got, want)
	}
}

var durations = regexp.MustCompile(`( (?:for|in) )[0-9.]+m?s`)

// quietTLS is a server with a certificate of its own that does not log who refuses it.
func quietTLS(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	return s
}

// chatOnly is a server that chats, and says that it is of some kind.
func chatOnly(owner string) http.Handler {
	mux := http.NewServeMux()
	for route, answer := range map[string]string{
		"GET /v1/models":            fmt.Sprintf(`{"data": [{"id": "gpt-nano", "owned_by": %q}]}`, owner),
		"GET /props":                `{"default_generation_settings": {"n_ctx": 512}, "total_slots": 1, "model_path": "nano.gguf"}`,
		"POST /v1/chat/completions": `{"model": "gpt-nano", "choices": [{"message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}`,
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
	}
	return mux
}
