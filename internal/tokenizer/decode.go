package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder makes text of tokens (Hugging Face tokenizers, decoders/): each token by itself, and
// then what they are together.
type decoder struct {
	spelled bool                  // tokens are spelled in the alphabet of bytes
	tokens  []func(string) string // of a token's spelling, in order
	first   func(string) string   // of the first token instead; nil: as any
	texts   []func(string) string // of all tokens together, in order
}

// readDecoder appends the steps of a decoder; after Fuse they are about the whole text.
func (s *scheme) readDecoder(raw json.RawMessage, fused *bool) error {
	kind, err := kindOf("decoder", raw)
	if err != nil {
		return err
	}
	d := &s.decoder
	if d.first != nil || d.spelled {
		return fmt.Errorf("%w: decoder %q behind another that ends decoding", ErrUnsupported, kind)
	}
	add := func(step func(string) string) {
		if *fused {
			d.texts = append(d.texts, step)
		} else {
			d.tokens = append(d.tokens, step)
		}
	}
	switch kind {
	case "ByteLevel":
		if *fused || len(d.tokens) > 0 {
			return fmt.Errorf("%w: decoder ByteLevel behind another", ErrUnsupported)
		}
		d.spelled = true
		return fields(kind, raw, &byteLevel{})
	case "ByteFallback":
		if *fused {
			return fmt.Errorf("%w: decoder ByteFallback behind Fuse", ErrUnsupported)
		}
		add(fallbackText)
		return fields(kind, raw, &struct{}{})
	case "Fuse":
		*fused = true
		return fields(kind, raw, &struct{}{})
	case "Replace":
		r, err := readReplace(raw)
		if err != nil {
			return err
		}
		add(func(text string) string { return strings.ReplaceAll(text, r.Pattern.String, r.Content) })
	case "Strip":
		var c struct {
			Content string `json:"content"`
			Start   int    `json:"start"`
			Stop    int    `json:"stop"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		if utf8.RuneCountInString(c.Content) != 1 {
			return fmt.Errorf("%w: decoder Strip of %q, not one character", ErrUnsupported, c.Content)
		}
		add(func(text string) string { return stripRunes(text, c.Content, c.Start, c.Stop) })
	case "Metaspace":
		m, err := readMetaspace(raw)
		if err != nil {
			return err
		}
		if *fused || len(d.tokens) > 0 {
			return fmt.Errorf("%w: decoder Metaspace behind another", ErrUnsupported)
		}
		add(func(text string) string { return strings.ReplaceAll(text, m.Replacement, " ") })
		if m.PrependScheme != "never" {
			d.first = func(text string) string { return strings.ReplaceAll(text, m.Replacement, "") }
		}
	case "Sequence":
		var c struct {
			Decoders []json.RawMessage `json:"decoders"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		for _, inner := range c.Decoders {
			if err := s.readDecoder(inner, fused); err != nil {
				return err
			}
		}
	case "":
		return fmt.Errorf("%w: no decoder", ErrUnsupported)
	default:
		return fmt.Errorf("%w: decoder %q", ErrUnsupported, kind)
	}
	return nil
}

// text is what a token stands for in the middle of a text.
func (d *decoder) text(token string) string {
	if d.spelled {
		return unspell(token)
	}
	for _, step := range d.tokens {
		token = step(token)
	}
	return token
}

// fallbackText is the byte that a token such as <0x0A> stands for; other tokens stay as they are.
func fallbackText(token string) string {
	if b, ok := fallbackByte(token); ok {
		return string([]byte{b})
	}
	return token
}

// fallbackByte is the byte of a token of SentencePiece's byte fallback.
func fallbackByte(token string) (byte, bool) {
	if len(token) != len("<0x00>") || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

// stripRunes removes up to start and stop occurrences of a character at the ends.
func stripRunes(text, character string, start, stop int) string {
	for i := 0; i < start && strings.HasPrefix(text, character); i++ {
		text = text[len(character):]
	}
	for i := 0; i < stop && strings.HasSuffix(text, character); i++ {
		text = text[:len(text)-len(character)]
	}
	return text
}

// Decode is the text of ids. Bytes that are no valid UTF-8 are kept as they are, where
// Hugging Face's library writes U+FFFD. With skipSpecial, special tokens leave no trace;
// unknown ids never do.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	d := &t.scheme.decoder
	first := d.first
	if len(ids) == 1 && first == nil && len(d.texts) == 0 {
		return t.Piece(ids[0], skipSpecial)
	}
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.texts) || t.tokens[id] == "" || skipSpecial && t.isSpec[id] {
			continue
		}
		if first != nil {
			b.WriteString(first(t.tokens[id]))
			first = nil
			continue
		}
		b.WriteString(t.texts[id])
	}
	text := b.String()
	for _, step := range d.texts {
		text = step(text)
	}
	return text
}

// Piece is the text that an id adds in the middle of a text. Decode of the id alone may be
// shorter: SentencePiece's vocabularies take a space away at the beginning of a text.
func (t *Tokenizer) Piece(id int32, skipSpecial bool) string {
	if id < 0 || int(id) >= len(t.texts) || skipSpecial && t.isSpec[id] {
		return ""
	}
	return t.texts[id]
}
