package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"

	"stargate/lm"
)

// Errors of files.
var (
	// ErrFormat: a line is not an example.
	ErrFormat = errors.New("not an example")
	// ErrDuplicate: a key was used before.
	ErrDuplicate = errors.New("the key was used before")
)

// maxLine bounds the memory of a reader: a line of a million tokens has about 16 MB.
const maxLine = 64 << 20

// Writer writes canonical JSONL: a line for each example, the same bytes for the same example.
type Writer struct {
	lines *json.Encoder
}

// NewWriter writes to w, a line at a time.
func NewWriter(w io.Writer) *Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Writer{e}
}

// Write appends an example.
func (w *Writer) Write(e Example) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("example %q: %w", e.Key, err)
	}
	if e.Loss == nil {
		e.Loss = []int{} // an empty list, not null
	}
	return w.lines.Encode(e)
}

// Reader reads canonical JSONL, one example in memory at a time.
type Reader struct {
	name  string
	lines *bufio.Reader
	line  int
}

// NewReader reads from r; name is the file's in errors.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{name: name, lines: bufio.NewReaderSize(r, 1<<16)}
}

// Line is the number of the line that was read last, from 1.
func (r *Reader) Line() int { return r.line }

// Next is the next example, or [io.EOF]. It is strict: unknown, missing or repeated fields,
// invalid UTF-8, empty lines and a last line without its end are [ErrFormat], with the line's
// number.
func (r *Reader) Next() (Example, error) {
	line, err := r.read()
	if err != nil {
		return Example{}, err
	}
	var e Example
	if err := strict(line, &e); err != nil {
		return Example{}, r.fail("", fmt.Errorf("%w: %w", ErrFormat, err))
	}
	if err := e.validate(); err != nil {
		return e, r.fail(e.Key, fmt.Errorf("%w: %w", ErrFormat, err))
	}
	return e, nil
}

// strict reads JSON without unknown or repeated members.
func strict(line []byte, v any) error {
	return jsonv2.Unmarshal(line, v, jsonv2.RejectUnknownMembers(true))
}

func (r *Reader) read() ([]byte, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if len(line) == 0 {
			r.line++
		}
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, r.fail("", fmt.Errorf("%w: longer than %d MiB", ErrFormat, maxLine>>20))
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0:
			r.line--
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, r.fail("", fmt.Errorf("%w: the file ends in the middle of it", ErrFormat))
		case err != nil:
			return nil, r.fail("", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if !utf8.Valid(line) {
			return nil, r.fail("", fmt.Errorf("%w: it is not UTF-8", ErrFormat))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return nil, r.fail("", fmt.Errorf("%w: the line is empty", ErrFormat))
		}
		return line, nil
	}
}

// fail says where in the file err is.
func (r *Reader) fail(key string, err error) error {
	if key != "" {
		return fmt.Errorf("%s, line %d, example %q: %w", r.name, r.line, key, err)
	}
	return fmt.Errorf("%s, line %d: %w", r.name, r.line, err)
}

// Source gives examples in order, from the beginning each time it is ranged over. An error ends
// it.
type Source = iter.Seq2[Example, error]

// Examples are a source in memory.
func Examples(es []Example) Source {
	return func(yield func(Example, error) bool) {
		for _, e := range es {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// File is the source that a canonical file is, lines or, with the suffix .parquet, columns. A key
// that occurs twice is [ErrDuplicate].
func File(path string) Source {
	if strings.EqualFold(filepath.Ext(path), ".parquet") {
		return parquetFile(path)
	}
	return func(yield func(Example, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Example{}, err)
			return
		}
		defer f.Close() // only read
		r, keys := NewReader(f, path), keySet{}
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil {
				if first, used := keys.add(e.Key, r.line); used {
					err = r.fail(e.Key, fmt.Errorf("%w, in line %d", ErrDuplicate, first))
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func parquetFile(path string) Source {
	return func(yield func(Example, error) bool) {
		n, keys := 0, keySet{}
		for row, err := range (&columns[exampleRow]{}).rows(path) {
			n++
			var e Example
			if err == nil {
				e = row.(exampleRow).example()
				if wrong := e.validate(); wrong != nil {
					err = fmt.Errorf("%s, row %d, example %q: %w: %w", path, n, e.Key, ErrFormat, wrong)
				} else if first, used := keys.add(e.Key, n); used {
					err = fmt.Errorf("%s, row %d, example %q: %w, in row %d", path, n, e.Key, ErrDuplicate, first)
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Read is a canonical file as examples to train on. Whether the model at hand makes the same
// tokens of them is for [Audit] to say. It fails with [lm.ErrNoLoss] where an example trains
// nothing, and with [ErrWeighted] where its weights are more than a mask, which trainers of
// conversations cannot express.
func Read(path string) ([]lm.Example, error) {
	var out []lm.Example
	for e, err := range File(path) {
		if err != nil {
			return nil, err
		}
		if err := e.fit(); err != nil {
			return nil, fmt.Errorf("%s, example %q: %w", path, e.Key, err)
		}
		out = append(out, lm.Example{Key: e.Key, Messages: e.Messages, Loss: e.Loss})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: there is no example in it", path)
	}
	return out, nil
}

// ErrWeighted: the weights of an example are not all 0 or 1.
var ErrWeighted = errors.New("its weights are more than a mask: train it with a trainer that takes per-token weights, or export it without --weights")

func (e Example) fit() error {
	switch {
	case e.Trained() == 0 || len(e.Loss) == 0:
		return lm.ErrNoLoss
	case !e.Uniform():
		return ErrWeighted
	}
	return nil
}
