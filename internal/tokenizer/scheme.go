package tokenizer

import (
	"encoding/json"
	"fmt"
)

// component is a normalizer, pre-tokenizer or decoder of tokenizer.json; which fields count
// depends on the type.
type component struct {
	Type             string            `json:"type"`
	AddPrefixSpace   bool              `json:"add_prefix_space"`
	UseRegex         *bool             `json:"use_regex"` // absent means true
	IndividualDigits bool              `json:"individual_digits"`
	Behavior         string            `json:"behavior"`
	Invert           bool              `json:"invert"`
	Pattern          map[string]string `json:"pattern"`
	PreTokenizers    []component       `json:"pretokenizers"`
	Normalizers      []component       `json:"normalizers"`
}

// patterns are the regular expressions of Split that have a splitter.
var patterns = map[string]splitter{
	gpt2Pattern:   splitGPT2,
	llama3Pattern: splitTiktoken(3),
	qwen2Pattern:  splitTiktoken(1),
}

// scheme reads everything but vocabulary and merges, and refuses what changes ids or text in
// a way this package does not know.
func (d *document) scheme() (scheme, error) {
	s := scheme{normalizer: d.Normalizer, preTokenizer: d.PreTokenizer, postProcessor: d.PostProcessor, decoder: d.Decoder, ignoreMerges: d.Model.IgnoreMerges}
	m := &d.Model
	switch {
	case m.Type != "BPE":
		return s, fmt.Errorf("%w: model type %q", ErrUnsupported, m.Type)
	case m.ByteFallback:
		return s, fmt.Errorf("%w: byte_fallback (a SentencePiece vocabulary)", ErrUnsupported)
	case m.Dropout != nil && *m.Dropout != 0:
		return s, fmt.Errorf("%w: dropout %g makes ids random", ErrUnsupported, *m.Dropout)
	case set(m.ContinuingSubwordPrefix) || set(m.EndOfWordSuffix):
		return s, fmt.Errorf("%w: continuing_subword_prefix or end_of_word_suffix", ErrUnsupported)
	}
	normalizer, err := read("normalizer", d.Normalizer)
	if err != nil {
		return s, err
	}
	if err := s.normalize(normalizer); err != nil {
		return s, err
	}
	pre, err := read("pre_tokenizer", d.PreTokenizer)
	if err != nil {
		return s, err
	}
	spelled := false
	if err := s.addStage(pre, &spelled); err != nil {
		return s, err
	}
	if !spelled {
		return s, fmt.Errorf("%w: pre_tokenizer without ByteLevel", ErrUnsupported)
	}
	decoder, err := read("decoder", d.Decoder)
	if err != nil {
		return s, err
	}
	if decoder.Type != "ByteLevel" {
		return s, fmt.Errorf("%w: decoder %q instead of ByteLevel", ErrUnsupported, decoder.Type)
	}
	return s, nil
}

func (s *scheme) normalize(c component) error {
	switch c.Type {
	case "":
	case "NFC":
		s.nfc = true
	case "Sequence":
		for _, c := range c.Normalizers {
			if err := s.normalize(c); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%w: normalizer %q", ErrUnsupported, c.Type)
	}
	return nil
}

// addStage appends the splitters of a pre-tokenizer. Behind ByteLevel, which spells bytes,
// nothing may follow: it would see the spelling, not the text.
func (s *scheme) addStage(c component, spelled *bool) error {
	if *spelled {
		return fmt.Errorf("%w: pre_tokenizer %q behind ByteLevel", ErrUnsupported, c.Type)
	}
	switch c.Type {
	case "ByteLevel":
		if c.AddPrefixSpace {
			return fmt.Errorf("%w: add_prefix_space", ErrUnsupported)
		}
		if c.UseRegex == nil || *c.UseRegex {
			s.stages = append(s.stages, splitGPT2)
		}
		*spelled = true
	case "Digits":
		s.stages = append(s.stages, splitDigits(c.IndividualDigits))
	case "Split":
		cut, ok := patterns[c.Pattern["Regex"]]
		if !ok {
			return fmt.Errorf("%w: Split with the pattern %q", ErrUnsupported, c.Pattern)
		}
		// The patterns match all of a text, so keeping the matches apart and keeping only the
		// matches are the same.
		if !(c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert) {
			return fmt.Errorf("%w: Split with behavior %q, invert %t", ErrUnsupported, c.Behavior, c.Invert)
		}
		s.stages = append(s.stages, cut)
	case "Sequence":
		for _, c := range c.PreTokenizers {
			if err := s.addStage(c, spelled); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%w: pre_tokenizer %q", ErrUnsupported, c.Type)
	}
	return nil
}

// read decodes a component; absent and null give the zero value.
func read(name string, raw json.RawMessage) (c component, err error) {
	if len(raw) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrUnsupported, name, err)
	}
	return c, nil
}

func set(s *string) bool { return s != nil && *s != "" }
