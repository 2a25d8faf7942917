package reply

import (
	"regexp"
	"strings"
)

var (
	openThought  = regexp.MustCompile(`(?i)<(?:think|thinking|thought|reasoning|scratchpad|reflection)>|\[think\]|◁think▷`)
	closeThought = regexp.MustCompile(`(?i)</(?:think|thinking|thought|reasoning|scratchpad|reflection)>|\[/think\]|◁/think▷`)
	finalChannel = regexp.MustCompile(`(?i)<\|channel\|>\s*final\s*(?:<\|[a-z_]+\|>[^<]*)?<\|message\|>`)
	channel      = regexp.MustCompile(`<\|channel\|>`)
	control      = regexp.MustCompile(`<\|[^|<>]{1,40}\|>|</s>|<end_of_turn>`)
)

// Visible is what a model says to others: the text after the last closed thought, without
// control tokens. Thoughts that were never closed, because the text was cut, leave nothing
// of what follows.
func Visible(text string) string {
	if at := finalChannel.FindAllStringIndex(text, -1); at != nil {
		text = text[at[len(at)-1][1]:]
	} else if at := channel.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	if at := closeThought.FindAllStringIndex(text, -1); at != nil {
		text = text[at[len(at)-1][1]:]
	}
	if at := openThought.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	return strings.TrimSpace(control.ReplaceAllString(text, " "))
}

// EndsInThought tells that a text stops inside a thought, so that what is put behind it
// would be a part of the thought.
func EndsInThought(text string) bool {
	return openThought.MatchString(text) || channel.MatchString(text)
}
