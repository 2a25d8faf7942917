package serve

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stargate/lm/local"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Requests and their answers, as they go over the wire. Each file of testdata/golden has
// requests (method, path, body) with their answers behind "----".
func TestGoldenExchanges(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	s := New(m, Options{Name: "tiny"})
	c := newClient(t, s)
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, part := range strings.Split(string(data), "\n====\n") {
				request, _, _ := strings.Cut(strings.TrimSpace(part), "\n----")
				line, body, _ := strings.Cut(request, "\n")
				method, path, _ := strings.Cut(line, " ")
				status, header, answer := c.do(method, path, body)
				if out.Len() > 0 {
					out.WriteString("\n====\n")
				}
				fmt.Fprintf(&out, "%s\n----\n%d\n%s", strings.TrimSpace(request), status, plain(header.Get("Content-Type"), answer))
			}
			out.WriteByte('\n')
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if out.String() != string(data) {
				t.Errorf("%s: got\n%s\n(go test -run Golden -update rewrites it)", file, out.String())
			}
		})
	}
}

var (
	idPattern      = regexp.MustCompile(`"(cmpl|chatcmpl)-[0-9a-f]+"`)
	createdPattern = regexp.MustCompile(`"created":\d+`)
	longPattern    = regexp.MustCompile(`-?\d+\.\d{4,}(e-\d+)?`)
)

// plain is an answer without what differs from run to run, and with log-probabilities
// rounded to what all processors agree on.
func plain(kind string, answer []byte) string {
	text := strings.TrimSpace(string(answer))
	text = idPattern.ReplaceAllString(text, `"$1-ID"`)
	text = createdPattern.ReplaceAllString(text, `"created":0`)
	text = longPattern.ReplaceAllStringFunc(text, func(s string) string {
		var x float64
		if err := json.Unmarshal([]byte(s), &x); err != nil {
			return s
		}
		return fmt.Sprint(math.Round(x*100) / 100)
	})
	if kind != "application/json" {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}
