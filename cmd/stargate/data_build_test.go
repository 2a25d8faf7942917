package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"stargate/dataset/batch/batchtest"
)

// servedFile is an experiment whose Oracle is paid for.
const servedFile = `
name: served
extends: tiny.yaml
world: ""
roles: {oracle: {url: %q, model: oracle, price: {input: 2, output: 8}}}
algorithm: {iterations: 1, samples: 2, redraws: 0}
evaluation: {win_pairs: 2}
`

// TestDataScripts builds data from an Oracle behind HTTP, live and by batch.
func TestDataScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/data",
		Setup: func(e *testscript.Env) error {
			tiny, err := os.ReadFile("testdata/tiny.yaml")
			if err != nil {
				return err
			}
			s := oracleServer()
			e.Defer(s.Close)
			e.Vars = append(e.Vars, "ORACLE="+s.URL, "ORACLE_KEY=secret")
			e.Values["oracle"] = s
			served := fmt.Appendf(nil, servedFile, s.URL)
			return errors.Join(os.WriteFile(e.WorkDir+"/tiny.yaml", tiny, 0o644), os.WriteFile(e.WorkDir+"/served.yaml", served, 0o644))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// paid-once fails if a request was billed twice.
			"paid-once": func(ts *testscript.TestScript, _ bool, _ []string) {
				for text, n := range ts.Value("oracle").(*batchtest.Server).Billed() {
					if n > 1 && text != "Say hello." && !strings.Contains(text, "describe themselves") && !strings.Contains(text, "silence") { // the probe; draws that differ by their sampling
						ts.Fatalf("billed %d times: %s", n, text)
					}
				}
			},
			// jobs fails unless so many batch jobs were created.
			"jobs": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := fmt.Sprint(ts.Value("oracle").(*batchtest.Server).Jobs()); got != args[0] {
					ts.Fatalf("%s jobs, want %s", got, args[0])
				}
			},
		},
	})
}

// oracleServer plays the Oracle: it invents personas and answers tasks, and at times it
// refuses or says nothing.
func oracleServer(set ...func(*batchtest.Server)) *batchtest.Server {
	return batchtest.New(append([]func(*batchtest.Server){func(s *batchtest.Server) { s.Polls, s.Answer = 1, answer }}, set...)...)
}

func answer(body map[string]any) batchtest.Reply {
	messages, _ := body["messages"].([]any)
	m, _ := messages[len(messages)-1].(map[string]any)
	text, _ := m["content"].(string)
	seed := fmt.Sprintf("%.0f", body["seed"])
	switch {
	case strings.Contains(text, "describe themselves"):
		if strings.HasSuffix(seed, "7") {
			return batchtest.Reply{Text: "I'm sorry, but I cannot help with that."}
		}
		return batchtest.Reply{Text: invent(seed)}
	case strings.Contains(text, "Say hello to me"):
		return batchtest.Reply{Text: "Hello!"}
	case strings.Contains(text, "unspeakable"):
		return batchtest.Reply{Refusal: "I can't help with that."}
	case strings.Contains(text, "silence") && fmt.Sprint(body["temperature"]) == "0":
		return batchtest.Reply{Text: ""}
	}
	return batchtest.Reply{Text: "Here is what I would do: take one step at a time."}
}

func invent(seed string) string {
	names := []string{"Ada", "Bo", "Cy", "Dot", "Eve", "Flo", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou", "Max", "Nan", "Ola", "Pam", "Rob", "Sue"}
	n := 0
	for _, d := range seed {
		n = (n*10 + int(d-'0')) % 7919
	}
	words := strings.Fields("amber basil cedar dunes ember ferns grain hazel indigo juniper kelp linen maple nettle olive pine quartz river sage thyme umber violet willow yarrow zinnia")
	pick := func(k int) string { return words[(n*k+k)%len(words)] }
	return fmt.Sprintf("I'm %s. I grew up among %s and %s and I am %d years old. My work is with %s, and my evenings belong to %s. My worry is %s; my hope is %s %s.",
		names[n%len(names)], pick(1), pick(2), 20+n%50, pick(3), pick(5), pick(7), pick(11), pick(13))
}
