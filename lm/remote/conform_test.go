package remote_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"stargate/lm"
	"stargate/lm/lmtest"
	"stargate/lm/remote"
)

// A client of a served model keeps the contracts of package lm, by every route.
func TestConforms(t *testing.T) {
	m := newModel(t, 3, 256)
	url := listen(t, served(m))
	dir := tokenizerDir(t)
	for name, r := range map[string]remote.Role{
		"chat":                       {URL: url},
		"completions":                {URL: url + "/v1/", Route: remote.CompletionsRoute},
		"tokenizer directory":        {URL: url, Tokenizer: dir},
		"completions with directory": {URL: url, Tokenizer: dir, Route: remote.CompletionsRoute, Model: "tiny", Server: remote.Stargate},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, r, remote.Options{})
			lmtest.Conform(t, func(*testing.T) lmtest.Model { return c })
		})
	}
}

// What comes over the wire is what the embedded engine gives, bit for bit.
func TestBitsOfTheEngine(t *testing.T) {
	m := newModel(t, 3, 256)
	url := listen(t, served(m))
	for name, r := range map[string]remote.Role{
		"chat":        {URL: url},
		"completions": {URL: url, Route: remote.CompletionsRoute},
		"directory":   {URL: url, Tokenizer: tokenizerDir(t)},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, r, remote.Options{})
			var wg sync.WaitGroup
			for i := range 24 {
				wg.Go(func() {
					chat := lm.Chat{{Role: lm.User, Content: fmt.Sprintf("My name is Ada. Help me plan a party for %d of my friends.", i)}}
					s := lm.Sampling{Temperature: float64(i%4) * 0.5, TopP: 0.9, TopK: i % 3 * 40, MaxTokens: 3 + 2*i, Seed: uint64(i) << 60}
					if i%2 == 0 {
						s.Stop = []string{"the", "e t", "a"}
					}
					if i == 23 {
						s.MaxTokens = 10_000 // more than fits
					}
					want, err := m.Generate(t.Context(), chat, s)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := c.Generate(t.Context(), chat, s)
					if err != nil || !reflect.DeepEqual(got, want) {
						t.Errorf("request %d: %+v, %v; in process %+v", i, got, err, want)
					}
					target := fmt.Sprintf("I like thing number %d. ", i)
					score, err := m.LogProb(t.Context(), chat, target)
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := c.LogProb(t.Context(), chat, target); err != nil || !reflect.DeepEqual(got, score) {
						t.Errorf("score %d: %+v, %v; in process %+v", i, got, err, score)
					}
				})
			}
			wg.Wait()
		})
	}
}
