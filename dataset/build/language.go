package build

import (
	"strings"
	"unicode"
)

// common are words that nearly every English request of some length has one of.
var common = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("a an the i me my you your is are was be do does did have has can could will would should what how why when where which who of to in on for with and or not it this that about from at as if") {
		m[w] = true
	}
	return m
}()

// looksEnglish is a heuristic for filters: most letters are Latin, and a text of five words
// or more has a function word of English. It cannot tell "Plan menu" from "Planta menta".
func looksEnglish(text string) bool {
	latin, letters := 0, 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
			if r < 0x80 {
				latin++
			}
		}
	}
	if letters == 0 || float64(latin) < 0.9*float64(letters) {
		return false
	}
	words := strings.Fields(normal(text))
	if len(words) < 5 {
		return true
	}
	for _, w := range words {
		if common[w] {
			return true
		}
	}
	return false
}
