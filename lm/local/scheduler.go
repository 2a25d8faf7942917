package local

import (
	"slices"
	"sync/atomic"

	"stargate/internal/kernel"
	"stargate/internal/llama"
)

// scheduler owns a model's decoder, pages and prefix tree. One goroutine runs it.
type scheduler struct {
	engine  *Engine
	decoder *llama.Decoder
	cache   *llama.Cache
	codec   *codec
	opts    Options
	work    llama.Work
	tree    *prefixTree

	submit chan *sequence // the queue
	quit   chan struct{}  // closed to end the loop
	ended  chan struct{}  // closed by the loop

	waiting []*sequence // preempted, to be continued before the queue
	running []*sequence // in order of admission
	full    bool        // pages ran out: admit nothing until a sequence ends

	pending map[pendingPage]bool // scratch of plan
	spans   []*llama.Span        // scratch of step
	active  []*sequence          // sequences of spans
	results []result             // of active

	counters
}

type result struct {
	finished bool
	err      error
}

// counters are what a model has done so far; see Stats.
type counters struct {
	computed, reused, drawn, preempted, steps atomic.Int64
	flops, prefixFLOPs, headFLOPs             atomic.Int64
	runs, pagesUsed                           atomic.Int64 // now: running sequences, pages in use
}

// pendingPage is a page that this step computes: who needs the same one waits for it.
type pendingPage struct {
	parent *node
	tokens block
}

func newScheduler(e *Engine, d *llama.Decoder, cache *llama.Cache, c *codec, o Options) *scheduler {
	return &scheduler{
		engine: e, decoder: d, cache: cache, codec: c, opts: o, work: d.Config().Work(), tree: newPrefixTree(cache),
		submit: make(chan *sequence, o.Queue), quit: make(chan struct{}), ended: make(chan struct{}),
		pending: map[pendingPage]bool{},
	}
}

// do runs a request to its end. When it fails with the context's error or ErrClosed, q
// still belongs to the scheduler.
func (s *scheduler) do(q *sequence) error {
	if err := s.enqueue(q); err != nil {
		return err
	}
	select {
	case err := <-q.done:
		return err
	case <-q.ctx.Done():
		return q.ctx.Err()
	case <-s.quit:
		return ErrClosed
	}
}

// enqueue hands q to the scheduler, waiting while the queue is full.
func (s *scheduler) enqueue(q *sequence) error {
	q.done = make(chan error, 1)
	select {
	case <-s.quit: // else the queue may take what nobody will serve
		return ErrClosed
	default:
	}
	select {
	case s.submit <- q:
		return nil
	case <-q.ctx.Done():
		return q.ctx.Err()
	case <-s.quit:
		return ErrClosed
	}
}

func (s *scheduler) loop() {
	defer close(s.ended)
	for {
		s.admit()
		if len(s.running) == 0 {
			select {
			case q := <-s.submit:
				s.start(q)
			case <-s.quit:
				return
			}
			continue // others may have come with it
		}
		select {
		case <-s.quit:
			return
		default:
		}
		s.step()
	}
}

// admit lets requests in, first come first served, as long as there is a place.
func (s *scheduler) admit() {
	for len(s.running) < s.opts.Sequences && !s.full {
		if len(s.waiting) > 0 {
			q := s.waiting[0]
			s.waiting = s.waiting[1:]
			s.start(q)
			continue
		}
		select {
		case q := <-s.submit:
			s.start(q)
		default:
			return
		}
	}
}

func (s *scheduler) start(q *sequence) {
	if q.ctx.Err() == nil {
		q.node = &s.tree.root
		s.running = append(s.running, q)
	}
}

// step is one pass over the weights.
func (s *scheduler) step() {
	s.plan()
	defer func() {
		s.runs.Store(int64(len(s.running)))
		s.pagesUsed.Store(int64(s.cache.Capacity() - s.cache.Free()))
	}()
	if len(s.active) == 0 {
		return
	}
	s.engine.do(func(pool *kernel.Pool) {
		s.decoder.Forward(s.spans)
		s.results = slices.Grow(s.results[:0], len(s.active))[:len(s.active)]
		pool.For(len(s.active), 1, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				s.results[i].finished, s.results[i].err = s.active[i].advance(s.codec)
			}
		})
	})
	s.steps.Add(1)
	for i, q := range s.active {
		s.count(&q.span)
		s.remember(q)
		if s.results[i].finished {
			s.release(q)
			q.done <- s.results[i].err
		}
	}
	s.running = slices.DeleteFunc(s.running, func(q *sequence) bool { return q.node == nil })
}

// count adds what a span took, and what it did not: the predictions at its other tokens.
func (s *scheduler) count(p *llama.Span) {
	n, predictions := len(p.Tokens), len(p.Targets)
	if p.WantLogits {
		predictions++
		s.drawn.Add(1)
	}
	s.computed.Add(int64(n))
	s.flops.Add(s.work.Tokens(p.Start, p.Start+n) + int64(predictions)*s.work.Head)
	s.headFLOPs.Add(int64(max(0, n-predictions)) * s.work.Head)
}

// plan chooses the tokens of the next step, in order of admission, and finds pages for them.
func (s *scheduler) plan() {
	clear(s.pending)
	s.spans, s.active = s.spans[:0], s.active[:0]
	s.running = slices.DeleteFunc(s.running, func(q *sequence) bool {
		gone := q.ctx.Err() != nil
		if gone {
			s.release(q)
		}
		return gone
	})
	budget := s.opts.BatchTokens
	for i := 0; i < len(s.running) && budget > 0; i++ {
		q := s.running[i]
		s.reuse(q)
		if key, ok := s.firstPage(q); ok {
			if s.pending[key] {
				continue // another sequence computes this page now; take it from the tree then
			}
			s.pending[key] = true
		}
		if s.reuseTail(q) {
			continue // another sequence computes it now; copy it then
		}
		n := min(budget, q.most())
		if !s.provide(q, llama.Pages(q.computed+n)) {
			break // q was the youngest and has been put back
		}
		q.plan(n)
		s.spans, s.active = append(s.spans, &q.span), append(s.active, q)
		budget -= n
	}
}

// reuse takes the pages that the tree has of q's next tokens.
func (s *scheduler) reuse(q *sequence) {
	if s.opts.NoPrefixCache || q.computed != q.node.depth*llama.PageTokens || q.computed+llama.PageTokens > q.reusable() {
		return
	}
	start, from := q.node, q.computed
	for q.computed+llama.PageTokens <= q.reusable() {
		next := q.node.children[q.page(q.node.depth)]
		if next == nil {
			break
		}
		// Pages were provided for the whole of an earlier step, so none is left over here.
		s.cache.Retain(next.page)
		q.pages = append(q.pages, next.page)
		q.node = next
		q.computed += llama.PageTokens
	}
	if q.node != start {
		s.tree.touch(q.node)
		s.reused.Add(int64(q.computed - from))
		s.prefixFLOPs.Add(s.work.Tokens(from, q.computed))
	}
}

// leastTail is the fewest tokens worth copying, or waiting, for.
const leastTail = 4

// reuseTail copies the beginning of q's next page from where it has been computed: from a page of
// the tree that goes on otherwise, or from another running sequence, which is how the samples of
// a pair share the last part of their prompt. wait says that a sequence of this step computes more
// of it than there is.
func (s *scheduler) reuseTail(q *sequence) (wait bool) {
	most := min(q.reusable()-q.computed, llama.PageTokens-1)
	if s.opts.NoPrefixCache || q.computed != q.node.depth*llama.PageTokens || most < leastTail {
		return false
	}
	next := q.tokens[q.computed : q.computed+most]
	best, from := 0, llama.Page(0)
	offer := func(tokens []int32, page llama.Page) {
		if n := common(next, tokens); n > best {
			best, from = n, page
		}
	}
	for tokens, child := range q.node.children {
		offer(tokens[:], child.page)
	}
	at := q.node.depth
	for _, r := range s.running {
		if r != q && r.node == q.node && r.computed > q.computed {
			offer(r.tokens[q.computed:r.computed], r.pages[at])
		}
	}
	for _, r := range s.active { // they come before q, so q does not wait for ever
		if r.node == q.node && common(next, r.tokens[q.computed:r.computed+len(r.span.Tokens)]) >= best+leastTail {
			return true
		}
	}
	if best < leastTail {
		return false
	}
	if page, ok := s.cache.Alloc(q.lastPage()); ok { // else whole pages are more important
		s.cache.Copy(page, from)
		q.pages = append(q.pages, page)
		s.reused.Add(int64(best))
		s.prefixFLOPs.Add(s.work.Tokens(q.computed, q.computed+best))
		q.computed += best
	}
	return false
}

// common is the number of tokens that a and b have in common at the beginning.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// lastPage is the sequence's last page, or -1.
func (q *sequence) lastPage() llama.Page {
	if len(q.pages) == 0 {
		return -1
	}
	return q.pages[len(q.pages)-1]
}

// firstPage is the next page of q, if others could share it.
func (s *scheduler) firstPage(q *sequence) (pendingPage, bool) {
	if end := (q.node.depth + 1) * llama.PageTokens; s.opts.NoPrefixCache || end > q.reusable() {
		return pendingPage{}, false
	}
	return pendingPage{q.node, q.page(q.node.depth)}, true
}

// provide makes q hold n pages. When none is left it gives up cached prefixes, then the
// youngest sequences, which start again later and come to the same result. false: that was
// q itself.
func (s *scheduler) provide(q *sequence, n int) bool {
	for len(q.pages) < n {
		page, ok := s.cache.Alloc(q.lastPage())
		if ok {
			q.pages = append(q.pages, page)
			continue
		}
		if s.tree.evict() {
			continue
		}
		youngest := s.running[len(s.running)-1]
		s.running = s.running[:len(s.running)-1]
		s.drop(youngest)
		youngest.computed = 0
		if youngest.score != nil {
			youngest.score.restart()
		}
		s.waiting = slices.Insert(s.waiting, 0, youngest)
		s.full = true
		s.preempted.Add(1)
		if youngest == q {
			return false
		}
	}
	return true
}

// remember puts the full pages of q into the tree. Where the tree has the same page
// already, q gives up its own.
func (s *scheduler) remember(q *sequence) {
	if s.opts.NoPrefixCache {
		return
	}
	start := q.node
	for (q.node.depth+1)*llama.PageTokens <= q.computed {
		i := q.node.depth
		next := s.tree.add(q.node, q.page(i), q.pages[i])
		if next.page != q.pages[i] {
			s.cache.Retain(next.page)
			s.cache.Release(q.pages[i])
			q.pages[i] = next.page
		}
		q.node = next
	}
	if q.node != start {
		s.tree.touch(q.node)
	}
}

// release ends q.
func (s *scheduler) release(q *sequence) {
	s.drop(q)
	s.full = false
}

func (s *scheduler) drop(q *sequence) {
	for _, p := range q.pages {
		s.cache.Release(p)
	}
	q.pages, q.node = nil, nil
}
