package simserver

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Lengths is the log-normal distribution of a completion's tokens.
type Lengths struct {
	Median float64 // tokens
	Sigma  float64 // of the logarithm
}

func (l Lengths) draw(r *rand.Rand) int {
	return max(4, int(math.Round(l.Median*math.Exp(l.Sigma*r.NormFloat64()))))
}

// say makes a text of exactly n tokens: a question where the prompt's last message asks for
// one, as the templates of package prompt do, else statements.
func say(lastMessage string, r *rand.Rand, n int) string {
	last := strings.ToLower(lastMessage)
	question := strings.HasSuffix(last, "ask me.") || strings.HasSuffix(last, "only the question.")
	size := n * pieceBytes
	var b strings.Builder
	b.Grow(size)
	if question {
		b.WriteString("What ")
	} else {
		b.WriteString("I ")
	}
	for b.Len() < size-1 {
		for range 1 + r.IntN(3) {
			b.WriteByte("bdfgklmnprstvz"[r.IntN(14)])
			b.WriteByte("aeiou"[r.IntN(5)])
		}
		b.WriteByte(' ')
	}
	text := strings.TrimRight(b.String()[:size-1], " ")
	end := "."
	if question {
		end = "?"
	}
	return text + strings.Repeat("a", size-1-len(text)) + end
}

// logProb is what the server makes of a token after a prefix of the given hash.
func logProb(prefix uint64, id int32) float64 {
	u := uniform(mix(prefix, uint64(id)))
	return -0.01 - 6*u*u
}

// uniform spreads a hash over [0, 1).
func uniform(h uint64) float64 {
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 29
	return float64(h>>11) / (1 << 53)
}
