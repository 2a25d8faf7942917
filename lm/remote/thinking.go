package remote

import "strings"

const (
	thinkOpen  = "<think>"
	thinkClose = "</think>"
)

// splitThinking separates the reasoning at the beginning of a text from the answer behind it:
//
//	<think>reasoning</think>answer     as most reasoning models write
//	reasoning</think>answer            where the template has written <think> already
//	<think>reasoning                   cut off before there was an answer
//
// Space around the answer goes with the reasoning. found says whether there was any.
func splitThinking(text string) (answer string, found bool) {
	head := strings.TrimLeft(text, " \t\r\n")
	_, opened := strings.CutPrefix(head, thinkOpen)
	_, answer, closed := strings.Cut(text, thinkClose)
	switch {
	case closed:
		return strings.TrimLeft(answer, " \t\r\n"), true
	case opened:
		return "", true
	}
	return text, false
}

// think applies the role's rule to a text. Where something was cut out, the ids of the tokens
// are no longer those of the text, so they go too.
func (c *Client) think(r *reply) {
	if c.role.Thinking == KeepThinking {
		return
	}
	if answer, found := splitThinking(r.Text); found {
		r.Text, r.Tokens, r.logprobs = answer, nil, nil
	}
}
