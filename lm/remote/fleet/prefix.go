package fleet

import (
	"bytes"
	"hash/maphash"
)

// prefixChunk is the granularity of prefixes in bytes: a few cache blocks of usual servers.
const prefixChunk = 256

// prefixes remembers which endpoint has lately seen which beginning of a prompt. It holds at
// most two generations of size entries.
type prefixes struct {
	seed       maphash.Seed
	size       int
	young, old map[uint64]*endpoint
}

func newPrefixes(size int) *prefixes {
	return &prefixes{seed: maphash.MakeSeed(), size: size, young: map[uint64]*endpoint{}}
}

// fields are the names of what holds a prompt, in the requests of all supported servers.
// Sampling settings may stand before it.
var fields = [][]byte{[]byte(`"messages"`), []byte(`"prompt"`), []byte(`"input_ids"`), []byte(`"inputs"`), []byte(`"sequences"`)}

// chain names the beginnings of a request's prompt, each a chunk longer.
func (p *prefixes) chain(body []byte) []uint64 {
	head := body[:min(len(body), 4<<10)]
	for _, f := range fields {
		if i := bytes.Index(head, f); i >= 0 {
			body = body[i:]
			break
		}
	}
	chain := make([]uint64, 0, len(body)/prefixChunk)
	h := uint64(0)
	for ; len(body) >= prefixChunk; body = body[prefixChunk:] {
		h = h*0x9e3779b97f4a7c15 ^ maphash.Bytes(p.seed, body[:prefixChunk])
		chain = append(chain, h)
	}
	return chain
}

// owner is the endpoint that has seen the longest beginning, if that is at least half of the
// prompt: a short one, like a system prompt that all share, says nothing.
func (p *prefixes) owner(chain []uint64) *endpoint {
	for i := len(chain) - 1; i >= 0 && 2*(i+1) >= len(chain); i-- {
		if e := p.young[chain[i]]; e != nil {
			return e
		}
		if e := p.old[chain[i]]; e != nil {
			return e
		}
	}
	return nil
}

// note says where a prompt goes.
func (p *prefixes) note(chain []uint64, e *endpoint) {
	for _, h := range chain {
		p.young[h] = e
	}
	if len(p.young) > p.size {
		p.old, p.young = p.young, make(map[uint64]*endpoint, p.size)
	}
}
