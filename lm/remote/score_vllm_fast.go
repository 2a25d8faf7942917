package remote

import (
	"bytes"
	"strconv"
)

// Of an answer with prompt_logprobs nine tenths of the bytes are that list. Written as vLLM
// and stargate write it, it is
//
//	[null,{"733":{"logprob":-7.21,"rank":512,"decoded_token":" ["}},…]
//
// and takeScores reads it in one pass. A list with anything else in it is left to
// parsePromptLogProbs, which reads all of JSON, and knows what to say of a list that is wrong:
// the two never differ (FuzzTakeScores).

// takeScores takes the list of an answer with one sequence out of it: what stays has an empty
// list there. ok is false where the list is not as above, has another length or other ids
// than the sequence, or is not the only one.
func takeScores(answer []byte, s sequence) (rest []byte, scores []float64, ok bool) {
	// Inside of a string the quotes would be escaped: this is the name of a field.
	name := []byte(`"prompt_logprobs":[`)
	at := bytes.Index(answer, name)
	if at < 0 {
		return nil, nil, false
	}
	at += len(name)
	r := recogniser{answer[at:], true}
	r.word("null")
	scores = make([]float64, 0, len(s.target()))
	var key []byte
	for k := 1; k < len(s.ids) && r.ok; k++ {
		key = append(strconv.AppendInt(append(key[:0], `,{"`...), int64(s.ids[k]), 10), `":{"logprob":`...)
		r.word(string(key))
		number := r.number()
		r.entry()
		for r.has(`,"`) { // tokens that were not asked for
			r.digits()
			r.word(`":{"logprob":`)
			r.number()
			r.entry()
		}
		r.word("}")
		if k < s.from || !r.ok {
			continue
		}
		lp, err := strconv.ParseFloat(string(number), 64)
		if err != nil {
			return nil, nil, false
		}
		scores = append(scores, lp)
	}
	end := len(answer) - len(r.left)
	if r.word("]"); !r.ok || bytes.Contains(r.left, name) {
		return nil, nil, false
	}
	return append(append(make([]byte, 0, at+len(answer)-end), answer[:at]...), answer[end:]...), scores, true
}

// recogniser goes through bytes that have to be as expected; once they are not, it stands
// still.
type recogniser struct {
	left []byte
	ok   bool
}

// has goes past a word if it is next.
func (r *recogniser) has(word string) bool {
	if !r.ok || len(r.left) < len(word) || string(r.left[:len(word)]) != word {
		return false
	}
	r.left = r.left[len(word):]
	return true
}

// word goes past a word that has to be next.
func (r *recogniser) word(word string) { r.ok = r.has(word) }

// digits goes past at least one digit.
func (r *recogniser) digits() {
	n := 0
	for n < len(r.left) && '0' <= r.left[n] && r.left[n] <= '9' {
		n++
	}
	r.ok = r.ok && n > 0
	r.left = r.left[n:]
}

// number goes past a number of JSON: -?, digits, and perhaps a fraction and an exponent.
func (r *recogniser) number() []byte {
	begin := r.left
	r.has("-")
	zero := len(r.left) > 1 && r.left[0] == '0' && '0' <= r.left[1] && r.left[1] <= '9'
	r.digits()
	if r.has(".") {
		r.digits()
	}
	if r.has("e") || r.has("E") {
		if !r.has("-") {
			r.has("+")
		}
		r.digits()
	}
	r.ok = r.ok && !zero // JSON has no 01
	return begin[:len(begin)-len(r.left)]
}

// entry goes past what is behind a log-probability, and the end of its object.
func (r *recogniser) entry() {
	if r.has(`,"rank":`) && !r.has("null") {
		r.digits()
	}
	if r.has(`,"decoded_token":`) && !r.has("null") {
		r.text()
	}
	r.word("}")
}

// text goes past a string.
func (r *recogniser) text() {
	r.word(`"`)
	for i := 0; i < len(r.left) && r.ok; i++ {
		switch c := r.left[i]; {
		case c == '"':
			r.left = r.left[i+1:]
			return
		case c == '\\':
			i++
			r.ok = i < len(r.left) && bytes.IndexByte([]byte(`"\/bfnrt`), r.left[i]) >= 0 || isUnicode(r.left[i:])
		case c < ' ':
			r.ok = false
		}
	}
	r.ok = false
}

// isUnicode says whether an escape begins as u and four hexadecimal digits.
func isUnicode(escape []byte) bool {
	if len(escape) < 5 || escape[0] != 'u' {
		return false
	}
	_, err := strconv.ParseUint(string(escape[1:5]), 16, 16)
	return err == nil
}
