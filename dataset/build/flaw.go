package build

import (
	"regexp"
	"strings"

	"stargate"
	"stargate/lm"
)

// Flaw is why a draw was not taken. The first four of a conversation's turn are used here
// too: [stargate.Empty], [stargate.Truncated], [stargate.ReasoningTags], [stargate.Refused].
type Flaw = stargate.Flaw

// The flaws of a persona.
const (
	NoName         Flaw = "no-name"          // it does not begin "I'm NAME."
	NotFirstPerson Flaw = "not-first-person" // somebody speaks about the person
	TooShort       Flaw = "too-short"
	TooLong        Flaw = "too-long"
	CopiesSeed     Flaw = "copies-seed" // nearly one of the user's profiles
	Repeats        Flaw = "repeats"     // nearly a persona that is taken
	NameTaken      Flaw = "name-taken"
	Screened       Flaw = "screened" // the provider refuses to speak with such a person
)

var (
	reasoning = regexp.MustCompile(`(?i)</?\s*(think|thinking|reasoning|scratchpad)\s*>`)
	// Only openings that cannot begin a helpful answer: "I'm sorry to hear that" can.
	declines = regexp.MustCompile(`(?i)^\W*(?:(?:i'?m|i am) (?:very |so |truly )?sorry,? but|sorry,? but i|(?:unfortunately,? )?i (?:can(?:no|')t|am (?:not able|unable) to|won't|will not) (?:help|assist|comply|continue|fulfil|create|write|generate|provide|engage|do that)|as an ai\b|i(?:'m| am) an ai\b)`)
	ends     = regexp.MustCompile(`[.!?…]+["'”’)\]]*(\s|$)`)
)

// flawOf says what is wrong with any generated text, or "".
func flawOf(c lm.Completion) Flaw {
	text := strings.TrimSpace(c.Text)
	switch {
	case text == "":
		return stargate.Empty
	case c.Finish == lm.FinishLength:
		return stargate.Truncated
	case reasoning.MatchString(text):
		return stargate.ReasoningTags
	case declines.MatchString(strings.ReplaceAll(text, "’", "'")):
		return stargate.Refused
	}
	return ""
}

// sentences counts ends of sentences; a text that has none is one sentence.
func sentences(text string) int { return max(1, len(ends.FindAllString(text, -1))) }
