package tokenizer

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func cut(split splitter, s string) (pieces []string) {
	for s != "" {
		n := split(s)
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return pieces
}

// The pieces are what the regular expressions match in Hugging Face's library; the whole
// pipeline is compared with it in TestGolden.
func TestSplitGPT2(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello world":     {"Hello", " world"},
		"a  b":            {"a", " ", " b"},
		"a \n b":          {"a", " \n", " b"},
		"tail  ":          {"tail", "  "},
		"it's we'll 'x'":  {"it", "'s", " we", "'ll", " '", "x", "'"},
		"IT'S":            {"IT", "'", "S"},
		"v1.5, été 3½":    {"v", "1", ".", "5", ",", " été", " 3½"},
		" \u00a0x":        {" ", "\u00a0", "x"},
		"\n\nParis? Yes!": {"\n", "\n", "Paris", "?", " Yes", "!"},
	} {
		if got := cut(splitGPT2, text); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

func TestSplitTiktoken(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello world":     {"Hello", " world"},
		"(a) [b]\n\nc":    {"(a", ")", " [", "b", "]\n\n", "c"},
		"IT'S we'Ll":      {"IT", "'S", " we", "'Ll"},
		"in 12345 days":   {"in", " ", "123", "45", " days"},
		"a  \n  b":        {"a", "  \n", " ", " b"},
		"\tx \t":          {"\tx", " \t"},
		"a\r\n\r\n  y":    {"a", "\r\n\r\n", " ", " y"},
		"?!\n \nz":        {"?!\n", " \n", "z"},
		"1\u00bdx":        {"1\u00bd", "x"},
		"it'\u017f alive": {"it", "'\u017f", " alive"},
	} {
		if got := cut(splitTiktoken(3), text); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

func TestSplitDigits(t *testing.T) {
	if got, want := cut(splitDigits(true), "a12 b"), []string{"a", "1", "2", " b"}; !slices.Equal(got, want) {
		t.Errorf("alone: %q", got)
	}
	if got, want := cut(splitDigits(false), "a12 b"), []string{"a", "12", " b"}; !slices.Equal(got, want) {
		t.Errorf("runs: %q", got)
	}
}

// Every splitter consumes all of any text, at least a byte at a time.
func TestSplitsCoverText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a'sSlL \t\r\n.,12½é]*`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		for _, split := range []splitter{splitGPT2, splitTiktoken(1), splitTiktoken(3), splitDigits(true), splitDigits(false)} {
			for s := text; s != ""; {
				n := split(s)
				if n < 1 || n > len(s) {
					t.Fatalf("a piece of %d bytes of %q", n, s)
				}
				s = s[n:]
			}
		}
	})
}
