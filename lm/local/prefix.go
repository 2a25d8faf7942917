package local

import "stargate/internal/llama"

// block is the tokens of one page.
type block [llama.PageTokens]int32

// prefixTree remembers computed pages by the tokens they hold and all tokens before them:
// a path from the root spells a prefix. It holds one reference to each of its pages, and
// gives up those used longest ago that no sequence holds.
type prefixTree struct {
	cache *llama.Cache
	root  node
	lru   node // ring of all nodes; next is the most recently used
}

type node struct {
	parent     *node
	depth      int // pages from the root: the node ends at position depth*PageTokens
	tokens     block
	page       llama.Page
	children   map[block]*node
	prev, next *node // in lru
}

func newPrefixTree(cache *llama.Cache) *prefixTree {
	t := &prefixTree{cache: cache}
	t.lru.prev, t.lru.next = &t.lru, &t.lru
	return t
}

// add puts a computed page behind n. When the tree has one with these tokens already, that
// one is returned and page stays the caller's.
func (t *prefixTree) add(n *node, tokens block, page llama.Page) *node {
	if known := n.children[tokens]; known != nil {
		return known
	}
	if n.children == nil {
		n.children = map[block]*node{}
	}
	child := &node{parent: n, depth: n.depth + 1, tokens: tokens, page: page}
	n.children[tokens] = child
	t.cache.Retain(page)
	t.touch(child)
	return child
}

// touch marks the path to n as used, the pages near the root most recently: leaves go first.
func (t *prefixTree) touch(n *node) {
	for ; n != &t.root; n = n.parent {
		if n.next != nil {
			n.prev.next, n.next.prev = n.next, n.prev
		}
		n.prev, n.next = &t.lru, t.lru.next
		n.prev.next, n.next.prev = n, n
	}
}

// evict gives up the page used longest ago that nobody else holds and nothing builds on;
// false if there is none.
func (t *prefixTree) evict() bool {
	for n := t.lru.prev; n != &t.lru; n = n.prev {
		if len(n.children) == 0 && t.cache.Refs(n.page) == 1 {
			delete(n.parent.children, n.tokens)
			n.prev.next, n.next.prev = n.next, n.prev
			t.cache.Release(n.page)
			return true
		}
	}
	return false
}
