package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Digest names what the model computes, for the ledger: two clients with one digest may use
// each other's answers. It is made of
//
//   - the kind of server, the model's name, its revision where the server tells one, and the
//     adapter;
//   - the digest of the tokens of some chats, which another template or tokenizer changes;
//   - the settings of the role that change answers: api, route, thinking, omit, max_tokens,
//     extra.
//
// Addresses, keys, prices, limits and the server's version are no part of it: moving or
// upgrading a server pays nothing twice. Where a server tells no revision, other weights
// under the same name have the same digest; [Audit.Same] finds those, for models that score.
func (c *Client) Digest() string {
	extra := c.role.Extra
	if len(extra) == 0 {
		extra = nil
	}
	data, err := json.Marshal(struct {
		Version                                    string
		Server, Model, Revision, Adapter, Template string
		API, Route, Thinking                       string
		Omit                                       []string       `json:",omitempty"`
		MaxTokens                                  int            `json:",omitempty"`
		Extra                                      map[string]any `json:",omitempty"`
	}{"stargate remote model 1", string(c.facts.Server), c.facts.Model, c.facts.Revision, c.adapter, c.facts.Template,
		string(c.role.API), string(c.role.Route), string(c.role.Thinking), c.role.Omit, c.role.MaxTokens, extra})
	if err != nil { // Open has checked Extra, the rest is words
		panic(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
