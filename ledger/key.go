package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"sync"

	"stargate/lm"
)

// Kind says what a call asked for.
type Kind string

// The kinds of calls.
const (
	Generate Kind = "generate"
	Score    Kind = "score"
)

// Key is the content key of a call: SHA-256 over a canonical encoding of everything that
// determines its result. Keys are part of the file format: changing the encoding makes
// every ledger forget what it holds.
type Key [sha256.Size]byte

// String is the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey is the inverse of [Key.String].
func ParseKey(s string) (k Key, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("%q is no key of a call: %d hexadecimal digits are", s, 2*len(k))
	}
	return Key(b), nil
}

// prefix is enough of the key to say that a call is surely new.
func (k Key) prefix() uint64 { return binary.LittleEndian.Uint64(k[:8]) }

// encodings holds buffers, because chats are long and calls are many.
var encodings = sync.Pool{New: func() any { return new(encoding) }}

// encoding is a byte string that no other request has: every field has a fixed length or
// is preceded by its length.
type encoding struct{ b []byte }

func (e *encoding) string(s string) {
	e.b = binary.LittleEndian.AppendUint64(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoding) uint(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

// float adds 0 first, which turns -0 into 0.
func (e *encoding) float(v float64) { e.uint(math.Float64bits(v + 0)) }

func (e *encoding) chat(chat lm.Chat) {
	e.uint(uint64(len(chat)))
	for _, m := range chat {
		e.string(string(m.Role))
		e.string(m.Content)
	}
}

func keyOf(kind Kind, model string, chat lm.Chat, rest func(*encoding)) Key {
	e := encodings.Get().(*encoding)
	defer encodings.Put(e)
	e.b = append(e.b[:0], "stargate call 1\n"...)
	e.string(string(kind))
	e.string(model)
	e.chat(chat)
	rest(e)
	return sha256.Sum256(e.b)
}

// GenerateKey is the key of a completion drawn from the model with this digest.
func GenerateKey(model string, chat lm.Chat, s lm.Sampling) Key {
	return keyOf(Generate, model, chat, func(e *encoding) {
		e.float(s.Temperature)
		e.float(s.TopP)
		e.uint(uint64(s.TopK))
		e.uint(uint64(s.MaxTokens))
		e.uint(uint64(len(s.Stop)))
		for _, stop := range s.Stop {
			e.string(stop)
		}
		e.uint(s.Seed)
	})
}

// ScoreKey is the key of the score of target under the model with this digest.
func ScoreKey(model string, chat lm.Chat, target string) Key {
	return keyOf(Score, model, chat, func(e *encoding) { e.string(target) })
}
