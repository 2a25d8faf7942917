package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites text before it is cut into words (Hugging Face tokenizers, normalizers/).
type normalizer func(piece) piece

func (s *scheme) readNormalizer(raw json.RawMessage) error {
	kind, err := kindOf("normalizer", raw)
	if err != nil || kind == "" {
		return err
	}
	add := func(n normalizer) { s.normalizers = append(s.normalizers, n) }
	switch kind {
	case "NFC", "NFD", "NFKC", "NFKD":
		form := map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}[kind]
		add(func(p piece) piece { return unicodeForm(p, form) })
	case "Lowercase":
		add(lowercase)
	case "StripAccents":
		add(stripAccents)
	case "Strip":
		var c struct {
			StripLeft  bool `json:"strip_left"`
			StripRight bool `json:"strip_right"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		add(func(p piece) piece { return strip(p, c.StripLeft, c.StripRight) })
		return nil
	case "Prepend":
		var c struct {
			Prepend string `json:"prepend"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		add(func(p piece) piece {
			if p.text == "" {
				return p
			}
			return p.prepend(c.Prepend)
		})
		return nil
	case "Replace":
		r, err := readReplace(raw)
		if err != nil {
			return err
		}
		add(func(p piece) piece { return p.replace(r.Pattern.String, r.Content) })
		return nil
	case "Sequence":
		var c struct {
			Normalizers []json.RawMessage `json:"normalizers"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		for _, n := range c.Normalizers {
			if err := s.readNormalizer(n); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("%w: normalizer %q", ErrUnsupported, kind)
	}
	return fields(kind, raw, &struct{}{})
}

// normalize applies all normalizers, in order.
func (s *scheme) normalize(p piece) piece {
	for _, n := range s.normalizers {
		p = n(p)
	}
	return p
}

// replace is a Replace, which normalizers and decoders have.
type replace struct {
	Pattern pattern `json:"pattern"`
	Content string  `json:"content"`
}

func readReplace(raw json.RawMessage) (r replace, err error) {
	if err := fields("Replace", raw, &r); err != nil {
		return r, err
	}
	if r.Pattern.Regex != "" || r.Pattern.String == "" {
		return r, fmt.Errorf("%w: Replace with the pattern %s", ErrUnsupported, r.Pattern)
	}
	return r, nil
}

// lowercase maps each character by itself: unlike strings.ToLower it knows the one that
// becomes two.
func lowercase(p piece) piece {
	r := rewrite(p)
	for r.at < len(p.text) {
		c, n := utf8.DecodeRuneInString(p.text[r.at:])
		switch lower := unicode.ToLower(c); {
		case c == '\u0130':
			r.put("i\u0307", n)
		case lower != c:
			r.put(string(lower), n)
		default:
			r.keep(n)
		}
	}
	return r.done()
}

// stripAccents removes combining marks.
func stripAccents(p piece) piece {
	r := rewrite(p)
	for r.at < len(p.text) {
		c, n := utf8.DecodeRuneInString(p.text[r.at:])
		if unicode.IsMark(c) {
			r.put("", n)
		} else {
			r.keep(n)
		}
	}
	return r.done()
}

// strip removes white space at the ends.
func strip(p piece, left, right bool) piece {
	from, to := 0, len(p.text)
	if left {
		from = to - len(strings.TrimLeftFunc(p.text, unicode.IsSpace))
	}
	if right {
		to = from + len(strings.TrimRightFunc(p.text[from:], unicode.IsSpace))
	}
	return p.cut(from, to)
}
