package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"

	"stargate"
	"stargate/dataset"
	"stargate/lm"
)

// digest is a SHA-256 of a value's JSON, in hexadecimal.
func digest(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// long is the digest of a value whose JSON is too long to be in memory at once: it is written
// element by element.
type long struct {
	hash hash.Hash
	err  error // the first
}

func newLong() *long { return &long{hash: sha256.New()} }

func (l *long) text(s string) { _, _ = io.WriteString(l.hash, s) } // a hash does not fail

func (l *long) value(v any) {
	if l.err != nil {
		return
	}
	var data []byte
	if data, l.err = json.Marshal(v); l.err == nil {
		l.text(string(data))
	}
}

// list writes a list whose i-th element write writes.
func (l *long) list(n int, write func(i int)) {
	l.text("[")
	for i := range n {
		if i > 0 {
			l.text(",")
		}
		write(i)
	}
	l.text("]")
}

func (l *long) sum() (string, error) { return hex.EncodeToString(l.hash.Sum(nil)), l.err }

// digestList is the [digest] of a list that may hold many examples.
func digestList(list []any) (string, error) {
	l := newLong()
	l.list(len(list), func(i int) {
		if examples, ok := list[i].([]lm.Example); ok && examples != nil {
			l.list(len(examples), func(k int) { l.value(examples[k]) })
			return
		}
		l.value(list[i])
	})
	return l.sum()
}

// digestSplits is the [digest] of the data of a run.
func digestSplits(s dataset.Splits) (string, error) {
	l := newLong()
	for _, part := range []struct {
		before string
		split  stargate.Split
	}{{`{"A":`, s.A}, {`,"B":`, s.B}, {`,"Test":`, s.Test}} {
		l.text(part.before + `{"name":`)
		l.value(part.split.Name)
		l.text(`,"pairs":`)
		if pairs := part.split.Pairs; pairs != nil {
			l.list(len(pairs), func(i int) { l.value(pairs[i]) })
		} else {
			l.text("null")
		}
		l.text("}")
	}
	if len(s.Excluded) > 0 {
		l.text(`,"Excluded":`)
		l.value(s.Excluded)
	}
	l.text("}")
	return l.sum()
}
