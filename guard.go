package stargate

import (
	"regexp"
	"strings"
	"unicode"

	"stargate/lm"
)

// Flaw names what makes a turn malformed (PROTOCOL §3). The authors' data holds such turns,
// and some are rewarded: a third "question" that answers the task leaks the answer into
// the score.
type Flaw string

// The flaws of a turn, in the order they are looked for.
const (
	Empty            Flaw = "empty"
	Truncated        Flaw = "truncated"
	ReasoningTags    Flaw = "reasoning-tags"
	RoleFlip         Flaw = "role-flip"
	NoQuestion       Flaw = "no-question"
	SeveralQuestions Flaw = "several-questions"
	AnswerLeak       Flaw = "answer-leak"
	PersonaLeak      Flaw = "persona-leak"
	Refused          Flaw = "refused"
	TooLong          Flaw = "context-too-long"
)

// Flaws lists all of them, for reports.
func Flaws() []Flaw {
	return []Flaw{Empty, Truncated, ReasoningTags, RoleFlip, NoQuestion, SeveralQuestions, AnswerLeak, PersonaLeak, Refused, TooLong}
}

var (
	reasoning = regexp.MustCompile(`(?i)</?\s*(think|thinking|reasoning|scratchpad)\s*>`)
	speaker   = regexp.MustCompile(`(?i)^\W*(user|human|assistant|ai|questioner|roleplayer|me)\s*:`)
	listItem  = regexp.MustCompile(`(?m)^\s*(\d+[.)]|[-*•])\s+\S`)
	ends      = regexp.MustCompile(`[.!?]+["')\]]*(\s|$)`)
)

// leakWords is how many words in a row a question must share with the persona, words that
// nobody has said before, to count as a leak.
const leakWords = 6

// CheckQuestion says what is wrong with a drawn question, or "" if nothing is. The persona
// is looked at to find leaks; the Questioner never saw it.
func CheckQuestion(c lm.Completion, p Pair, so []Turn) Flaw {
	text := strings.TrimSpace(c.Text)
	switch {
	case text == "":
		return Empty
	case c.Finish == lm.FinishLength:
		return Truncated
	case reasoning.MatchString(text):
		return ReasoningTags
	case flipped(text, p.Persona.Name):
		return RoleFlip
	}
	switch n := questions(text); {
	case n == 0:
		return NoQuestion
	case answers(text):
		return AnswerLeak
	case n > 1:
		return SeveralQuestions
	case leaks(text, p, so):
		return PersonaLeak
	}
	return ""
}

// CheckAnswer says what is wrong with a drawn answer, or "".
func CheckAnswer(c lm.Completion, p Pair) Flaw {
	text := strings.TrimSpace(c.Text)
	switch {
	case text == "":
		return Empty
	case c.Finish == lm.FinishLength:
		return Truncated
	case reasoning.MatchString(text):
		return ReasoningTags
	case flipped(text, p.Persona.Name):
		return RoleFlip
	}
	return ""
}

// CheckResponse says why a response cannot be trained on, or "".
func CheckResponse(c lm.Completion) Flaw {
	switch {
	case strings.TrimSpace(c.Text) == "":
		return Empty
	case c.Finish == lm.FinishLength:
		return Truncated
	}
	return ""
}

// questions counts sentences that end with a question mark; "??" is one.
func questions(text string) int {
	n := 0
	for _, end := range ends.FindAllString(text, -1) {
		if strings.Contains(end, "?") {
			n++
		}
	}
	return n
}

// answers tells whether a turn does the task instead of asking: a list, more than three
// sentences (the instruction allows three), or a paragraph after the question.
func answers(text string) bool {
	if len(listItem.FindAllString(text, 2)) > 1 || len(ends.FindAllString(text, -1)) > 3 {
		return true
	}
	tail := text[strings.LastIndex(text, "?")+1:]
	return len(strings.Fields(tail)) > 15
}

// flipped tells whether the model speaks as somebody else, in a script's manner.
func flipped(text, name string) bool {
	if speaker.MatchString(text) {
		return true
	}
	first, _, found := strings.Cut(text, ":")
	return found && name != "" && strings.EqualFold(strings.Trim(first, " *\"'"), name)
}

// leaks tells whether the question has leakWords of the persona in a row that are neither
// in the task nor in an answer.
func leaks(text string, p Pair, so []Turn) bool {
	words, secret, known := wordsOf(text), "", ""
	for i := 0; i+leakWords <= len(words); i++ {
		if secret == "" {
			secret = inOneLine(wordsOf(p.Persona.Text))
		}
		run := inOneLine(words[i : i+leakWords])
		if !strings.Contains(secret, run) {
			continue
		}
		if known == "" {
			said := p.Task.Text
			for _, t := range so {
				said += " . " + t.Answer
			}
			known = inOneLine(wordsOf(said))
		}
		if !strings.Contains(known, run) {
			return true
		}
	}
	return false
}

// wordsOf are a text's words, in small letters.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// inOneLine has a space before and after each word, so that words in a row are found as a part
// of the text.
func inOneLine(words []string) string { return " " + strings.Join(words, " ") + " " }
