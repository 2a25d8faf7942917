package reply

import (
	"regexp"
	"strings"
)

// Act is what a reply does.
type Act string

// The acts.
const (
	Asks    Act = "asks"    // for something that the other must tell first
	Answers Act = "answers" // does what was asked, also when it ends with an offer
	Refuses Act = "refuses"
	Nothing Act = "nothing" // empty, or thoughts only
)

var (
	sentence = regexp.MustCompile(`[^.!?\n]+[.!?]*["'”’)\]]*|[.!?]+`)
	// offer is a question that asks for nothing the answer depends on.
	offer = regexp.MustCompile(`(?i)\b(?:anything else|any (?:other|further|more) questions?|(?:would|do) you (?:like|want|need) (?:me to|more|another|further|some more|any (?:more|other|further)|help with)|(?:shall|should) i (?:go on|continue|elaborate)|does (?:this|that|it) (?:help|answer|make sense|sound|work)|is (?:this|that) (?:ok|okay|clear|helpful|what you)|sound good|how does (?:this|that) sound|what do you think|want me to|can i help you with anything|let me know if|right\?|isn['’]t it\?|agreed\?|ready to (?:start|begin|go))`)
	// request asks without a question mark.
	request  = regexp.MustCompile(`(?i)^(?:\W*(?:sure|okay|ok|great|happy to help|of course|certainly|before i (?:can |do |start |begin |answer )?[^,.]*)[,.!:]?\s*)*(?:please\s+(?:tell|specify|clarify|provide|share|describe|let me know|state|give me|confirm|indicate)|(?:kindly|could you|can you|would you|may i ask|tell me|i(?:['’]d| would)? (?:need|like) to know|i need (?:a few|some|a bit|more|to know)|to (?:help|answer|do) [^.]{0,60}i (?:need|would need|have to know)|let me (?:first )?ask|do you (?:mean|prefer)|are you (?:asking|looking|interested|referring)|it depends on (?:which|what|whether|your|who|how))\b)`)
	declines = regexp.MustCompile(`(?i)^\W*(?:i(?:['’]?m| am) (?:very )?sorry|sorry|unfortunately|i apologi[sz]e)?[,.]?\s*(?:but\s+)?(?:i(?:['’]?m| am) (?:unable to|not able to)|i (?:cannot|can['’]?t|can not|won['’]?t|will not|must decline(?: to)?))\s+(?:help|assist|do (?:this|that)|answer|provide|comply|fulfil|continue|discuss|engage)`)
	listItem = regexp.MustCompile(`(?m)^\s*(?:\d+[.)]|[-*•])\s+\S`)
	code     = regexp.MustCompile("(?s)```.*?(?:```|$)")
)

// The bounds between asking and answering.
const (
	mostAround = 30  // words beside its questions in a reply that asks
	leastShare = 0.4 // or the share of a longer reply's words that its questions have
	longRest   = 60  // words after the last question that make it an answer with a rhetorical question
)

// Read tells what a reply does. A question that the task depends on, alone or with a short
// lead-in, asks; a text that does the task and ends with an offer ("Would you like more?")
// answers; requests such as "Please tell me which one." ask without a question mark. It is a
// rule about form: it reads no mind, and a model that asks in an unheard-of way is taken to
// answer.
func Read(text string) Act {
	text = Visible(text)
	if text == "" {
		return Nothing
	}
	prose := code.ReplaceAllString(text, " ")
	asking, around, rest, questions := 0, 0, 0, 0
	listed := 0
	for _, line := range strings.Split(prose, "\n") {
		item := listItem.MatchString(line)
		asksHere := false
		for _, s := range sentence.FindAllString(line, -1) {
			words := len(strings.Fields(s))
			if words == 0 {
				continue
			}
			if isQuestion(s) && !offer.MatchString(s) {
				asking, questions, rest, asksHere = asking+words, questions+1, 0, true
				continue
			}
			around += words
			rest += words
		}
		if item && !asksHere {
			listed++
		}
	}
	switch {
	case questions == 0 && declines.MatchString(prose):
		return Refuses
	case questions == 0, len(prose) < len(text)/2: // most of it is code
		return Answers
	case rest > longRest:
		return Answers
	case around <= mostAround && listed < 2, float64(asking) >= leastShare*float64(asking+around):
		return Asks
	}
	return Answers
}

// isQuestion tells whether a sentence asks, with a question mark or by its form.
func isQuestion(s string) bool {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(strings.TrimRight(s, " \"'”’)]*_"), "?？؟") {
		return true
	}
	return request.MatchString(s)
}
