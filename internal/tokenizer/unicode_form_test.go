package tokenizer

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var forms = []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD}

// The definition is what package norm has, where marks are few; and so is the way that keeps
// offsets.
func TestUnicodeForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[aAeoé ḍ̣̇\x{0301}\x{0316}\x{0327}\x{0345}\x{1100}\x{1161}\x{11a8}가ﬁ①ẛ\x{0323}]{0,20}`)).Draw(t, "text")
		for _, f := range forms {
			want := f.String(text)
			if got := definedForm(text, f); got != want {
				t.Fatalf("form %d of %q is %q by definition, %q by norm", f, text, got, want)
			}
			for _, offsets := range []bool{false, true} {
				if got := unicodeForm(whole(text, offsets), f); got.text != want || offsets && len(got.ends) != len(want) {
					t.Fatalf("form %d of %q is %q (offsets %t), want %q", f, text, got.text, offsets, want)
				}
			}
		}
	})
}

// Any number of marks stay together.
func TestManyMarks(t *testing.T) {
	text := "xe" + strings.Repeat("\u0301", 40) + strings.Repeat("\u0316", 3) + "y\u0301 a\u0301"
	want := map[norm.Form]string{
		norm.NFC: "x\u00e9" + strings.Repeat("\u0316", 3) + strings.Repeat("\u0301", 39),
		norm.NFD: "xe" + strings.Repeat("\u0316", 3) + strings.Repeat("\u0301", 40),
	}
	for f, w := range want {
		w += f.String("y\u0301 a\u0301")
		for _, offsets := range []bool{false, true} {
			if got := unicodeForm(whole(text, offsets), f); got.text != w {
				t.Errorf("form %d is %q (offsets %t), want %q", f, got.text, offsets, w)
			}
		}
	}
}
