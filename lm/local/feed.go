package local

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// feed carries a growing completion from the scheduler to the caller who watches it. It
// holds no more than a completion, so the scheduler never waits for the caller.
type feed struct {
	mu   sync.Mutex
	held Piece
	wake chan struct{} // capacity 1: something is held
}

func newFeed() *feed { return &feed{wake: make(chan struct{}, 1)} }

// put adds to what is held.
func (f *feed) put(p Piece) {
	f.mu.Lock()
	f.held.Tokens = append(f.held.Tokens, p.Tokens...)
	f.held.Text += p.Text
	f.held.Finish = p.Finish
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take is what was put since the last time; false if nothing.
func (f *feed) take() (Piece, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.held
	f.held = Piece{}
	return p, len(p.Tokens) > 0 || p.Text != "" || p.Finish != ""
}

// follow is do for a sequence whose drawing has a feed: each sees what comes, with a pause
// between two calls.
func (s *scheduler) follow(q *sequence, each func(Piece), pause time.Duration) error {
	if each == nil {
		return s.do(q)
	}
	if err := s.enqueue(q); err != nil {
		return err
	}
	f := q.draw.feed
	var over <-chan time.Time // of the pause
	wake := f.wake
	for {
		select {
		case <-over:
			over, wake = nil, f.wake
		case <-wake:
			if p, ok := f.take(); ok {
				each(p)
				if pause > 0 {
					over, wake = time.After(pause), nil
				}
			}
		case err := <-q.done:
			if p, ok := f.take(); ok && err == nil {
				each(p)
			}
			return err
		case <-q.ctx.Done():
			return q.ctx.Err()
		case <-s.quit:
			return ErrClosed
		}
	}
}

// watch puts the last token and the text that is final now into the feed.
func (d *drawing) watch(tokens []Drawn) {
	if d.feed == nil {
		return
	}
	end := d.settled()
	d.feed.put(Piece{Tokens: tokens, Text: strings.ToValidUTF8(d.text.String()[d.told:end], "\uFFFD"), Finish: d.finish})
	d.told = end
}

// settled is the end of the text that later tokens cannot change: it is before anything
// that may begin a stop string, and behind a whole character.
func (d *drawing) settled() int {
	text := d.text.String()
	if d.cut >= 0 {
		return d.cut
	}
	if d.finish != "" {
		return len(text)
	}
	end := len(text)
	for _, stop := range d.stop {
		for n := min(len(stop)-1, len(text)-d.told); n > 0; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				end = min(end, len(text)-n)
				break
			}
		}
	}
	// A run of invalid bytes becomes one replacement character when it is over.
	whole := d.told
	for at := d.told; at < end; {
		r, n := utf8.DecodeRuneInString(text[at:end])
		at += n
		if r != utf8.RuneError || n > 1 {
			whole = at
		}
	}
	return whole
}
