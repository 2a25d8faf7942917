package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A stage of pre-tokenization may rewrite a piece, and then cuts it (Hugging Face tokenizers,
// pre_tokenizers/).
type stage struct {
	prepare func(p piece, first bool) piece // nil: nothing to do; first: the piece begins the whole text
	cut     splitter                        // nil: the piece stays whole
}

// patterns are the regular expressions of Split that have a splitter. They match all of a
// text, so keeping the matches apart and keeping only the matches are the same.
var patterns = map[string]splitter{
	gpt2Pattern:   splitGPT2,
	llama3Pattern: splitTiktoken(3),
	qwen2Pattern:  splitTiktoken(1),
}

// readPreTokenizer appends the stages of a pre-tokenizer. Behind ByteLevel, which spells
// bytes, nothing may follow: it would see the spelling, not the text.
func (s *scheme) readPreTokenizer(raw json.RawMessage) error {
	kind, err := kindOf("pre_tokenizer", raw)
	if err != nil || kind == "" {
		return err
	}
	if s.spelled {
		return fmt.Errorf("%w: pre_tokenizer %q behind ByteLevel", ErrUnsupported, kind)
	}
	switch kind {
	case "ByteLevel":
		var c byteLevel
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		var st stage
		if c.AddPrefixSpace == nil || *c.AddPrefixSpace {
			st.prepare = func(p piece, _ bool) piece { return begin(p, " ") }
		}
		if c.UseRegex == nil || *c.UseRegex {
			st.cut = splitGPT2
		}
		if st.prepare != nil || st.cut != nil {
			s.stages = append(s.stages, st)
		}
		s.spelled = true
	case "Digits":
		var c struct {
			IndividualDigits bool `json:"individual_digits"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		s.stages = append(s.stages, stage{cut: splitDigits(c.IndividualDigits)})
	case "Metaspace":
		return s.addMetaspace(raw)
	case "Split":
		return s.addSplit(raw)
	case "Sequence":
		var c struct {
			PreTokenizers []json.RawMessage `json:"pretokenizers"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		for _, p := range c.PreTokenizers {
			if err := s.readPreTokenizer(p); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%w: pre_tokenizer %q", ErrUnsupported, kind)
	}
	return nil
}

// byteLevel is a ByteLevel, which is a pre-tokenizer, a post-processor and a decoder.
type byteLevel struct {
	AddPrefixSpace *bool `json:"add_prefix_space"`
	TrimOffsets    *bool `json:"trim_offsets"` // of the offsets that Hugging Face's library reports
	UseRegex       *bool `json:"use_regex"`    // absent means true
}

// begin makes sure that p begins with a text.
func begin(p piece, with string) piece {
	if strings.HasPrefix(p.text, with) {
		return p
	}
	return p.prepend(with)
}

// metaspace is a Metaspace, which is a pre-tokenizer and a decoder.
type metaspace struct {
	Replacement    string `json:"replacement"`
	AddPrefixSpace *bool  `json:"add_prefix_space"` // older files: false is prepend_scheme never
	PrependScheme  string `json:"prepend_scheme"`
	Split          *bool  `json:"split"` // absent means true
	StrRep         string `json:"str_rep"`
}

func readMetaspace(raw json.RawMessage) (m metaspace, err error) {
	if err := fields("Metaspace", raw, &m); err != nil {
		return m, err
	}
	if len([]rune(m.Replacement)) != 1 {
		return m, fmt.Errorf("%w: Metaspace with the replacement %q, not one character", ErrUnsupported, m.Replacement)
	}
	never := m.AddPrefixSpace != nil && !*m.AddPrefixSpace
	switch {
	case m.PrependScheme == "" && never:
		m.PrependScheme = "never"
	case m.PrependScheme == "":
		m.PrependScheme = "always"
	case m.PrependScheme != "always" && m.PrependScheme != "first" && m.PrependScheme != "never":
		return m, fmt.Errorf("%w: Metaspace with prepend_scheme %q", ErrUnsupported, m.PrependScheme)
	case never && m.PrependScheme != "never":
		return m, fmt.Errorf("%w: Metaspace with add_prefix_space false and prepend_scheme %q", ErrUnsupported, m.PrependScheme)
	}
	return m, nil
}

func (s *scheme) addMetaspace(raw json.RawMessage) error {
	m, err := readMetaspace(raw)
	if err != nil {
		return err
	}
	st := stage{prepare: func(p piece, first bool) piece {
		p = p.replace(" ", m.Replacement)
		if m.PrependScheme == "always" || m.PrependScheme == "first" && first {
			return begin(p, m.Replacement)
		}
		return p
	}}
	if m.Split == nil || *m.Split {
		st.cut = splitString(m.Replacement, "MergedWithNext")
	}
	s.stages = append(s.stages, st)
	return nil
}

func (s *scheme) addSplit(raw json.RawMessage) error {
	var c struct {
		Pattern  pattern `json:"pattern"`
		Behavior string  `json:"behavior"`
		Invert   bool    `json:"invert"`
	}
	if err := fields("Split", raw, &c); err != nil {
		return err
	}
	refused := fmt.Errorf("%w: Split with behavior %q, invert %t", ErrUnsupported, c.Behavior, c.Invert)
	if c.Pattern.Regex != "" {
		cut, ok := patterns[c.Pattern.Regex]
		if !ok {
			return fmt.Errorf("%w: Split with the pattern %s", ErrUnsupported, c.Pattern)
		}
		if !(c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert) {
			return refused
		}
		s.stages = append(s.stages, stage{cut: cut})
		return nil
	}
	if c.Pattern.String == "" {
		return fmt.Errorf("%w: Split with an empty pattern", ErrUnsupported)
	}
	cut := splitString(c.Pattern.String, c.Behavior)
	if cut == nil || c.Invert {
		return refused
	}
	s.stages = append(s.stages, stage{cut: cut})
	return nil
}

// splitString cuts at every occurrence of a text, which stands alone or goes with what is
// before or behind it; nil for a behavior that is neither.
func splitString(delimiter, behavior string) splitter {
	next := func(s string) int {
		if i := strings.Index(s, delimiter); i >= 0 {
			return i
		}
		return len(s)
	}
	n := len(delimiter)
	switch behavior {
	case "Isolated":
		return func(s string) int {
			if i := next(s); i > 0 {
				return i
			}
			return n
		}
	case "MergedWithPrevious":
		return func(s string) int { return min(next(s)+n, len(s)) }
	case "MergedWithNext":
		return func(s string) int {
			if i := next(s); i > 0 {
				return i
			}
			return n + next(s[n:])
		}
	}
	return nil
}
