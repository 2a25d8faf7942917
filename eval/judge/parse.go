package judge

import (
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"

	"stargate/eval/reply"
)

// Reason says why a text is no verdict.
type Reason string

// The reasons, "" for a verdict.
const (
	Empty      Reason = "empty"      // nothing, or thoughts only
	Refusal    Reason = "refusal"    // the model declines
	Unparsable Reason = "unparsable" // words, but no verdict, or several at once
)

// Parse reads a judge's text. The prompt asks for a last line "Final Response: A" or
// "Final Response: B"; models dress it up. In this order, the last that can be read counts:
//
//   - thoughts (<think>…</think> and its kin) are no part of the answer, nor is what a model
//     goes on to make up for the next user;
//   - a JSON field "final_response", "verdict", "winner" and such;
//   - a labelled verdict: "Final Response: A", "**Verdict** – Reply B", a heading with the
//     verdict below it, a tie in words;
//   - a bracketed one: [[A]], [[C]] for a tie (FastChat's form), [[B>>A]], \boxed{B};
//   - an element: <answer>A</answer>;
//   - a line that is a verdict and nothing else: the last, or the only one.
//
// A line that offers both ("Final Response: A" or "Final Response: B") is an echo of the
// question, not an answer; "A" as an article ("A better reply is …") is none either.
func Parse(text string) (Verdict, Reason) {
	if at := nextUser.FindStringIndex(text); at != nil {
		if v, ok := read(reply.Visible(text[:at[0]])); ok {
			return v, ""
		}
	}
	text = reply.Visible(text)
	if v, ok := read(text); ok {
		return v, ""
	}
	if text = plain(text); text == "" {
		return Invalid, Empty
	}
	if declines.MatchString(text) {
		return Invalid, Refusal
	}
	return Invalid, Unparsable
}

// read finds the verdict of a text.
func read(text string) (Verdict, bool) {
	if text = plain(text); text == "" {
		return Invalid, false
	}
	for _, from := range []func(string) (Verdict, bool){fromJSON, fromLabel, fromBrackets, fromElement, fromLine} {
		if v, ok := from(text); ok {
			return v, true
		}
	}
	return Invalid, false
}

// plain is the end of a text in plain letters, without HTML's emphasis.
func plain(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[len(text)-longestText:], "")
	}
	return strings.TrimSpace(htmlEmphasis.ReplaceAllString(lookalikes.Replace(norm.NFKC.String(text)), " "))
}

// lookalikes are letters that print as A and B, and characters that do not print.
var lookalikes = strings.NewReplacer("\u0410", "A", "\u0412", "B", "\u0391", "A", "\u0392", "B", "\U0001f170", "A", "\U0001f171", "B", "\u00a0", " ", "\r\n", "\n",
	"\u200b", "", "\u200c", "", "\u200d", "", "\u2060", "", "\ufeff", "", "\ufe0f", "")

var (
	htmlEmphasis = regexp.MustCompile(`(?i)</?(?:b|i|u|em|strong|mark|code|span|p|div|br|li|ul|h[1-6])(?:\s[^<>]{0,80})?/?>`)
	// nextUser begins a turn that a model makes up instead of ending its own.
	nextUser = regexp.MustCompile(`(?i)\n\s*(?:#+\s*)?(?:human|user|instruction)\s*:|<\|im_start\|>\s*user|<start_of_turn>\s*user|<\|start_header_id\|>\s*user|<\|user\|>|\[INST\]`)
)

const labels = `final[\s_-]*(?:res?pon?se|reply|verdict|answer|decision|choice|judge?ment|result|pick|selection|preference|conclusion|vote|call)|verdict|winner|(?:better|preferred|chosen|best|selected|winning)[\s_-]*(?:response|reply|answer)` +
	`|r[ée]ponse finale|respuesta final|resposta final|risposta finale|endg[üu]ltige antwort|finale antwort|окончательный ответ|最[终終](?:回答|答案|回复|回覆|选择|選擇|判断|判斷)|최종\s*(?:답변|응답|선택)`

var (
	jsonField = regexp.MustCompile(`(?i)["'](?:` + labels + `|choice|preference|preferred|better|selected|decision|judge?ment|answer|result)["']\s*:\s*["']?([^"'\n,}]{1,80})`)
	label     = regexp.MustCompile(`(?i)(?:^|[^\pL])(?:` + labels + `)[*_"'\x60]*\s*(?:is\b|are\b|would be\b|goes to\b|(?:that\s+)?i\s+(?:choose|pick|select|prefer)\s+is\b|[:=\-–—>→]+)?`)
	brackets  = regexp.MustCompile(`(?i)\[\[\s*([ABC]|tie|[AB]\s*(?:>{1,3}|<{1,3}|=|~|≈)\s*[AB])\s*\]\]|\\boxed\s*\{\s*(?:\\text\s*\{)?\s*([^{}]{1,40})\}`)
	declines  = regexp.MustCompile(`(?i)\b(?:i\s*['’]?\s*a?m\s+(?:very\s+)?(?:sorry|unable|not able)|i\s+(?:cannot|can\s*['’]?\s*t|can not|won['’]t|will not|must decline|decline)|as an ai\b|unable to (?:assist|help|compare|judge|provide))`)
)

func fromJSON(text string) (Verdict, bool) {
	if !strings.Contains(text, "{") {
		return Invalid, false
	}
	return last(jsonField.FindAllStringSubmatch(text, -1), func(m []string) (Verdict, bool) { return token(m[1]) })
}

// fromLabel reads the last labelled verdict, line by line from the end. Where the label ends
// its line, as a heading does, the verdict is the next line that is not blank.
func fromLabel(text string) (Verdict, bool) {
	below := ""
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if v, ok := labelled(lines[i], below); ok {
			return v, true
		}
		if bare(lines[i]) != "" {
			below = lines[i]
		}
	}
	return Invalid, false
}

// labelled reads the last label of a line that says something; a line that offers both
// after its first label says nothing.
func labelled(line, below string) (Verdict, bool) {
	at := label.FindAllStringIndex(line, -1)
	if at == nil || offersBoth.MatchString(line[at[0][0]:]) {
		return Invalid, false
	}
	for i := len(at) - 1; i >= max(0, len(at)-longestChain); i-- {
		value := line[at[i][1]:]
		if bare(value) == "" {
			value = below
		}
		if v, ok := token(value); ok {
			return v, true
		}
	}
	return Invalid, false
}

// Bounds on what is read, so that no text takes long.
const (
	longestText  = 16 << 10 // the end of a longer text
	longestChain = 8        // labels of one line
	longestValue = 200      // of a verdict with its explanation
)

// bare is a text without what only decorates it.
func bare(text string) string { return strings.Trim(text, " \t*_#:\"'`-–—=>|") }

// fromBrackets also takes C, which in this form, and only in it, is a tie.
func fromBrackets(text string) (Verdict, bool) {
	return last(brackets.FindAllStringSubmatch(text, -1), func(m []string) (Verdict, bool) {
		if strings.EqualFold(m[1], "C") {
			return Tie, true
		}
		if c := ranking.FindStringSubmatch(m[1]); c != nil {
			return ranked(strings.ToUpper(c[1]), c[2], strings.ToUpper(c[3]))
		}
		return token(m[1] + m[2])
	})
}

var ranking = regexp.MustCompile(`(?i)^\s*([AB])\s*([><=~≈])[><]*\s*([AB])\s*$`)

// ranked reads "A>B".
func ranked(a, sign, b string) (Verdict, bool) {
	switch {
	case a == b:
		return Invalid, false
	case sign != ">" && sign != "<":
		return Tie, true
	case (a == "A") == (sign == ">"):
		return First, true
	}
	return Second, true
}

var element = regexp.MustCompile(`(?i)<(answer|verdict|winner|choice|decision|preference|result|judge?ment|final[\s_-]*\w+)>\s*([^<>]{1,80}?)\s*</`)

func fromElement(text string) (Verdict, bool) {
	return last(element.FindAllStringSubmatch(text, -1), func(m []string) (Verdict, bool) { return token(m[2]) })
}

// shortLabel stands before a verdict that is alone on its line; in a sentence these words
// mean other things.
var shortLabel = regexp.MustCompile(`(?i)^[\s*_#>\-–—]*(?:(?:my|the|overall)\s+)*(?:answer|choice|decision|preference|result|judge?ment|conclusion|selection|pick|vote|overall|final)[\s*_]*(?::|=|\bis\b)\s*`)

// fromLine reads a line that is a verdict and nothing else: the last, or any if no other line
// is one, as headings over the two replies would be. A bare number is a list's.
func fromLine(text string) (Verdict, bool) {
	lines := strings.Split(text, "\n")
	var found []Verdict
	at := -1
	for i, l := range lines {
		l = shortLabel.ReplaceAllString(l, "")
		if v, ok := alone(l); ok && (len(lines) == 1 || !strings.ContainsAny(l, "12")) {
			found, at = append(found, v), i
		}
	}
	if n := len(found); n == 1 || n > 1 && at == len(lines)-1 {
		return found[n-1], true
	}
	return Invalid, false
}

// alone reads a text that is a verdict and nothing else.
func alone(text string) (Verdict, bool) {
	if len(text) > 40 || strings.ContainsAny(strings.Trim(text, "\n"), "\n") {
		return Invalid, false
	}
	m := verdictToken.FindStringSubmatch(undressed(text))
	if m == nil || inPerson.MatchString(text) || strings.Trim(m[3], " \t.!*_\"'`)]}>:") != "" {
		return Invalid, false
	}
	return token(text)
}

// inPerson begins a sentence, which may say more than it seems to.
var inPerson = regexp.MustCompile(`(?i)^\W*i\b`)

// last is the last match that read can make sense of.
func last(matches [][]string, read func([]string) (Verdict, bool)) (Verdict, bool) {
	for i := len(matches) - 1; i >= 0; i-- {
		if v, ok := read(matches[i]); ok {
			return v, true
		}
	}
	return Invalid, false
}

var (
	// dress is what stands before the word that counts.
	dress = regexp.MustCompile(`(?i)^(?:[\s*_"'\x60“”‘’„‚«»‹›「『(\[{<|#:=>→$\-–—~\p{So}]|\\boxed\s*\{|\\(?:text|math)(?:bf|rm|it)?\s*\{|(?:the|is|it is|it['’]s|it would be|definitely|clearly|probably|overall,?|therefore,?|i(?:['’]d|\s+would)?\s+(?:choose|pick|select|prefer|say|go with|vote for))\s+)*`)
	// verdictToken is a verdict at the beginning of a text, and what follows.
	verdictToken = regexp.MustCompile(`(?is)^((?:(?:response|reply|assistant|answer|option|candidate|model|number|no\.|#)[\s_*"'\x60“‘«(\[:-]*)*)(a (?:tie|draw)\b|[AB12]\b|one\b|two\b|(?:the\s+)?(?:first|second)\b|tied?\b|draw\b|equal\w*\b|both\b|neither\b|same\b|no (?:preference|difference|clear winner)\b)(.*)$`)
	// afterA is what follows an "A" that is a verdict and no article.
	afterA     = regexp.MustCompile(`(?i)^[\s*_"'\x60“”‘’»›」』]*(?:$|[.,;:!?()\[\]{}<>|/\n\-–—=]|(?:is|was|wins|because|since|as|over|with|would|does|has|for|due|by|but|though|although|while|serves|fits|addresses|provides|offers|better (?:serves|fits|suits|matches|addresses))\b)`)
	offersBoth = regexp.MustCompile(`(?i)\bA["'\x60*_”’]*\s*(?:\bor\b|/|\|)\s*["'\x60*_“‘]*(?:(?:final\s+response|response|reply)\s*:?\s*)?["'\x60*_]*B\b|\bB["'\x60*_”’]*\s*(?:\bor\b|/|\|)\s*["'\x60*_“‘]*(?:(?:final\s+response|response|reply)\s*:?\s*)?["'\x60*_]*A\b`)
	together   = regexp.MustCompile(`(?i)^[\s*_"'\x60]*(?:and|&|=|\+)\s*(?:response|reply)?[\s*_"'\x60]*[AB]\b`)
	// reversed says of the reply just named that it is the worse one.
	reversed = regexp.MustCompile(`(?i)^[\s*_"'\x60”’)\]]*(?:(?:is|was|seems|feels)\s+(?:\w+\s+){0,2}?(?:worse|inferior|weaker|less\s+\w+\s+than)|loses|lost)\b`)
)

// undressed is a text without the markdown in it and the words before the one that counts.
func undressed(text string) string { return dress.ReplaceAllString(emphasis.Replace(text), "") }

var emphasis = strings.NewReplacer("*", " ", "_", " ", "`", " ")

// token reads the verdict that a short text begins with.
func token(text string) (Verdict, bool) {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > longestValue {
		text = strings.ToValidUTF8(text[:longestValue], "")
	}
	if offersBoth.MatchString(text) {
		return Invalid, false
	}
	m := verdictToken.FindStringSubmatch(undressed(text))
	if m == nil {
		return Invalid, false
	}
	named, word, rest := m[1] != "", strings.ToLower(strings.TrimPrefix(strings.ToLower(m[2]), "the ")), m[3]
	if together.MatchString(rest) {
		return Tie, true
	}
	switch word {
	case "a", "1", "one", "first", "b", "2", "two", "second":
	default:
		return Tie, true
	}
	if word == "a" && !(named && strings.HasPrefix(m[2], "A")) && !afterA.MatchString(rest) || reversed.MatchString(rest) {
		return Invalid, false
	}
	switch word {
	case "a", "1", "one", "first":
		return First, true
	}
	return Second, true
}
