package jinja

import (
	"slices"
)

// key is what a value is ordered by: strings in small letters, unless case counts.
func (r *rendering) key(v any, caseCounts bool) any {
	if s, ok := v.(string); ok && !caseCounts {
		r.touch(len(s))
		return lower(s)
	}
	return v
}

// order sorts values by keys, both stay together.
func (r *rendering) order(values, keys []any, reverse bool) []any {
	places := make([]int, len(values))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int {
		if reverse {
			i, j = j, i
		}
		switch {
		case r.less(keys[i], keys[j]):
			return -1
		case r.less(keys[j], keys[i]):
			return 1
		}
		return 0
	})
	made := make([]any, len(values))
	for i, p := range places {
		made[i] = values[p]
	}
	return made
}

func sorted(r *rendering, in any, a args) any {
	b := a.bind("sort", "reverse", "case_sensitive", "attribute")
	all := r.elements(in)
	keys := slices.Clone(r.path(all, b[2]))
	for i, k := range keys {
		keys[i] = r.key(k, truth(given(b[1], false)))
	}
	return r.list(r.order(all, keys, truth(given(b[0], false))), isList)
}

func dictSort(r *rendering, in any, a args) any {
	b := a.bind("dictsort", "case_sensitive", "by", "reverse")
	d, ok := defined(in).(*Dict)
	if !ok {
		fail("dictsort of a %s", kindOf(in))
	}
	by := d.keys
	switch given(b[1], "key") {
	case "key":
	case "value":
		by = d.values
	default:
		fail("dictsort is by key or value")
	}
	keys := make([]any, len(by))
	for i, k := range by {
		keys[i] = r.key(k, truth(given(b[0], false)))
	}
	return r.list(r.order(r.pairs(d).items, keys, truth(given(b[2], false))), isList)
}

func (r *rendering) sortedByKey(d *Dict) (keys, values []any) {
	for _, pair := range r.order(r.pairs(d).items, d.keys, false) {
		pair := pair.(*List)
		keys, values = append(keys, pair.items[0]), append(values, pair.items[1])
	}
	return keys, values
}

func unique(r *rendering, in any, a args) any {
	b := a.bind("unique", "case_sensitive", "attribute")
	all := r.elements(in)
	seen := &Dict{}
	var kept []any
	for i, v := range r.path(all, b[1]) {
		k := r.key(v, truth(given(b[0], false)))
		if _, again := seen.get(k); !again {
			seen.set(k, nil)
			kept = append(kept, all[i])
		}
	}
	return r.list(kept, isGenerator)
}

// extreme is min or max.
func extreme(smallest bool) filter {
	return func(r *rendering, in any, a args) any {
		b := a.bind("min and max", "case_sensitive", "attribute")
		all := r.elements(in)
		if len(all) == 0 {
			return undefined{"the extreme of nothing"}
		}
		best, bestKey := any(nil), any(nil)
		for i, v := range r.path(all, b[1]) {
			k := r.key(v, truth(given(b[0], false)))
			if i == 0 || smallest && r.less(k, bestKey) || !smallest && r.less(bestKey, k) {
				best, bestKey = all[i], k
			}
		}
		return best
	}
}
