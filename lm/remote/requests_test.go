package remote_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"stargate/lm"
	"stargate/lm/remote"
)

// How many requests a score takes: with the server's own tokenizer the prompt and the whole are
// tokenised there first; with a tokenizer directory there is the score alone.
func TestRequestsOfAScore(t *testing.T) {
	inner := served(newModel(t, 3, 256))
	var mu sync.Mutex
	var asked []string
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	for name, c := range map[string]struct {
		role remote.Role
		want []string
	}{
		"the server's tokenizer": {remote.Role{URL: url}, []string{"/tokenize", "/tokenize", "/v1/completions"}},
		"a tokenizer directory":  {remote.Role{URL: url, Tokenizer: tokenizerDir(t)}, []string{"/v1/completions"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, c.role, remote.Options{})
			asked = nil
			if _, err := client.LogProb(t.Context(), lm.Chat{{Role: lm.User, Content: "Help me plan a party."}}, "First buy some bread."); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(asked, c.want) {
				t.Errorf("a score asks %q, want %q", asked, c.want)
			}
		})
	}
}
