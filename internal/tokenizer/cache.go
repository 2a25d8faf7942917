package tokenizer

import "strings"

// wordCache keeps the tokens of words seen: natural text repeats few. It holds at most
// cacheWords words of at most cacheWord bytes; when full it starts over, which a few
// thousand words later costs nothing any more. It is for one goroutine at a time: a
// Tokenizer has a pool of them, so that concurrent callers never wait for each other.
type wordCache map[string][]int32

const (
	cacheWords = 1 << 15
	cacheWord  = 64
)

// put keeps ids, which must not change afterwards.
func (c wordCache) put(word string, ids []int32) {
	if len(word) > cacheWord {
		return
	}
	if len(c) >= cacheWords {
		clear(c)
	}
	c[strings.Clone(word)] = ids
}
