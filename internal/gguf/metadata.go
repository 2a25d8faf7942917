package gguf

import (
	"fmt"
	"math"
)

// The readers of metadata below give a default where a key is absent, and remember the first
// value of a wrong type, so that one check behind many reads is enough.

// metadata reads typed values.
type metadata struct {
	values map[string]any
	err    error
}

func (m *metadata) has(key string) bool {
	_, ok := m.values[key]
	return ok
}

func (m *metadata) wrong(key, want string) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: %s is a %T, not %s", ErrCorrupt, key, m.values[key], want)
	}
}

// text is a string.
func (m *metadata) text(key, absent string) string {
	switch v := m.values[key].(type) {
	case nil:
		return absent
	case string:
		return v
	}
	m.wrong(key, "a string")
	return absent
}

// number is an integer of any type that is not negative.
func (m *metadata) number(key string, absent int) int {
	n, ok := integer(m.values[key])
	switch {
	case m.values[key] == nil:
		return absent
	case !ok || n < 0 || n > math.MaxInt32:
		m.wrong(key, "a number from 0 to 2³¹")
		return absent
	}
	return int(n)
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(min(v, math.MaxInt64)), true
	case int64:
		return v, true
	}
	return 0, false
}

// real is a floating-point number. A float32 gives the shortest decimal number it stands
// for: 1e-05 rather than 9.999999747378752e-06, as config.json has it.
func (m *metadata) real(key string, absent float64) float64 {
	switch v := m.values[key].(type) {
	case nil:
		return absent
	case float64:
		return v
	case float32:
		var short float64
		if _, err := fmt.Sscan(fmt.Sprint(v), &short); err == nil {
			return short
		}
		return float64(v)
	}
	m.wrong(key, "a floating-point number")
	return absent
}

// truth is a truth value.
func (m *metadata) truth(key string, absent bool) bool {
	switch v := m.values[key].(type) {
	case nil:
		return absent
	case bool:
		return v
	}
	m.wrong(key, "a truth value")
	return absent
}

// strings, numbers and reals are arrays; nil where absent.
func (m *metadata) strings(key string) []string { return elements[string](m, key, "strings") }
func (m *metadata) numbers(key string) []int32  { return elements[int32](m, key, "32-bit numbers") }
func (m *metadata) reals(key string) []float32 {
	return elements[float32](m, key, "32-bit floating-point numbers")
}

func elements[T any](m *metadata, key, what string) []T {
	v, ok := m.values[key].([]T)
	if !ok && m.has(key) {
		if n, ok := m.values[key].([]uint32); ok {
			if same, ok := any(n).([]T); ok {
				return same
			}
		}
		m.wrong(key, "an array of "+what)
	}
	return v
}
