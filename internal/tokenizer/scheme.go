package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// scheme is what tokenizer.json says besides vocabulary and merges.
type scheme struct {
	normalizers   []normalizer
	stages        []stage // of pre-tokenization
	spelled       bool    // words are spelled in the alphabet of bytes, not in characters
	decoder       decoder
	before, after []int32 // what the post-processor puts around a text

	ignoreMerges bool    // a word that is a token is that token, whatever the merges say
	byteFallback bool    // a character that is no token is spelled in tokens such as <0x0A>
	unknown      *string // the token of a character that is none otherwise; nil: it is left out
	fuseUnknown  bool    // several of them in a row are one token

	// The parts of the document these come from, to be written again.
	normalizer, preTokenizer, postProcessor, decode json.RawMessage
}

// scheme reads everything but vocabulary and merges, and refuses what changes ids or text in
// a way this package does not know.
func (d *document) scheme() (scheme, error) {
	m := &d.Model
	s := scheme{normalizer: d.Normalizer, preTokenizer: d.PreTokenizer, postProcessor: d.PostProcessor, decode: d.Decoder,
		ignoreMerges: m.IgnoreMerges, byteFallback: m.ByteFallback, fuseUnknown: m.FuseUnk}
	if set(m.UnkToken) {
		s.unknown = m.UnkToken
	}
	switch {
	case m.Type != "BPE" && m.Type != "":
		return s, fmt.Errorf("%w: model type %q", ErrUnsupported, m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return s, fmt.Errorf("%w: dropout %g makes ids random", ErrUnsupported, *m.Dropout)
	case set(m.ContinuingSubwordPrefix):
		return s, fmt.Errorf("%w: continuing_subword_prefix %q", ErrUnsupported, *m.ContinuingSubwordPrefix)
	case set(m.EndOfWordSuffix):
		return s, fmt.Errorf("%w: end_of_word_suffix %q", ErrUnsupported, *m.EndOfWordSuffix)
	}
	if err := s.readNormalizer(d.Normalizer); err != nil {
		return s, err
	}
	if err := s.readPreTokenizer(d.PreTokenizer); err != nil {
		return s, err
	}
	if err := s.readPostProcessor(d.PostProcessor); err != nil {
		return s, err
	}
	fused := false
	if err := s.readDecoder(d.Decoder, &fused); err != nil {
		return s, err
	}
	if s.spelled != s.decoder.spelled {
		return s, fmt.Errorf("%w: ByteLevel in only one of pre_tokenizer and decoder", ErrUnsupported)
	}
	return s, nil
}

// kindOf is the type of a component of tokenizer.json, or "" where there is none.
func kindOf(name string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return "", nil
	}
	var c struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &c); err != nil || c.Type == "" {
		return "", fmt.Errorf("%w: %s without a type", ErrUnsupported, name)
	}
	return c.Type, nil
}

// fields decodes a component besides its type. A field that is not in the struct is an error:
// it would change ids in a way that nobody here knows.
func fields(kind string, raw json.RawMessage, to any) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsupported, kind, err)
	}
	delete(all, "type")
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsupported, kind, err)
	}
	return nil
}

// pattern is what Split and Replace look for: one of the two.
type pattern struct{ String, Regex string }

// Format writes whichever is set.
func (p pattern) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%q", p.String+p.Regex) }

func set(s *string) bool { return s != nil && *s != "" }
