package export

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"

	"stargate/export/readback"
	"stargate/lm/local"
)

// Options of an export.
type Options struct {
	Lossy                bool   // write also what trains other tokens than the examples say
	Force                bool   // replace a file that is there
	LlamaFactoryTemplate string // LLaMA-Factory's template; "" = made of the model's own
}

// Summary is what an export came to.
type Summary struct {
	Format      string      `json:"format"`
	Path        string      `json:"path"`
	Beside      []string    `json:"beside"` // files with what the trainer must be told
	Examples    int         `json:"examples"`
	Rows        int         `json:"rows"`
	Tokens      int         `json:"tokens"`      // of the examples
	Trained     int         `json:"trained"`     // of these, with a weight
	LongestRow  int         `json:"longest_row"` // in tokens
	Differences Differences `json:"differences"` // between what is trained and what should be
}

func (s Summary) name() string { return filepath.Base(s.Path) }

// Write exports examples to a file, which appears whole or not at all, with what its trainer
// must be told beside it. Every row is read again by the trainer's rules before it is written;
// where the trainer would train other tokens, Write fails with [ErrLossy] after it has looked at
// all examples, unless o.Lossy. It holds one example in memory at a time.
//
// The tokens must be of the tokenizer and the template of t. Keys must differ ([ErrDuplicate]).
func Write(ctx context.Context, f Format, t *local.Text, src Source, path string, o Options) (Summary, error) {
	s, err := write(ctx, f, t, src, path, o)
	if err != nil {
		return s, fmt.Errorf("export %s: %w", f.Name, err)
	}
	return s, nil
}

func write(ctx context.Context, f Format, t *local.Text, src Source, path string, o Options) (Summary, error) {
	s := Summary{Format: f.Name, Path: path}
	j, err := newJob(t, o)
	if err != nil {
		return s, err
	}
	out, err := create(path, o.Force)
	if err != nil {
		return s, err
	}
	defer out.discard()
	sink := sinkOf(f, out.file)
	for e, err := range counted(ctx, src, &s, "example", func(e Example) string { return e.Key }) {
		if err != nil {
			return s, err
		}
		if err := j.made(e); err != nil {
			return s, fmt.Errorf("example %q: %w", e.Key, err)
		}
		s.Tokens += len(e.IDs)
		s.Trained += e.Trained()
		s.LongestRow = max(s.LongestRow, len(e.IDs))
		rows, lines, d, err := j.rows(f, e, &s)
		if err != nil {
			return s, fmt.Errorf("example %q: %w", e.Key, err)
		}
		s.Differences.add(e.Key, d)
		if !s.Differences.None() && !o.Lossy {
			continue // nothing will be written: see how much differs
		}
		if err := sink.write(rows, lines); err != nil {
			return s, err
		}
		s.Rows += len(rows)
	}
	if s.Examples == 0 {
		return s, errors.New("there are no examples")
	}
	if !s.Differences.None() && !o.Lossy {
		return s, fmt.Errorf("%w: %s. Way out: %s; or write it as it is with --lossy", ErrLossy, s.Differences, f.instead)
	}
	if err := sink.close(); err != nil {
		return s, err
	}
	if f.table != nil {
		if err := j.verify(ctx, f, src, out.file.Name(), s); err != nil {
			return s, err
		}
	}
	if f.settings != nil {
		for _, side := range f.settings(j, s) {
			if err := side.write(path); err != nil {
				return s, err
			}
			s.Beside = append(s.Beside, side.path(path))
		}
	}
	return s, out.publish()
}

// counted goes through src, which holds what, counts it in s, and ends at a key that was used
// before, or with ctx.
func counted[T any](ctx context.Context, src iter.Seq2[T, error], s *Summary, what string, key func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		keys := keySet{}
		for one, err := range src {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				s.Examples++
				if first, used := keys.add(key(one), s.Examples); used {
					err = fmt.Errorf("%s %d, %q: %w, by %s %d", what, s.Examples, key(one), ErrDuplicate, what, first)
				}
			}
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
}

// ErrOtherTokenizer: examples were made with another tokenizer or chat template.
var ErrOtherTokenizer = errors.New("the tokens were made with another tokenizer or chat template than this model's")

// made checks that the model at hand made an example's tokens.
func (j *job) made(e Example) error {
	if e.Provenance.Tokenizer != j.text.TokenizerDigest() || e.Provenance.Template != j.text.TemplateDigest() {
		return fmt.Errorf("%w (tokenizer %.12s…, template %.12s…): name its directory with --model", ErrOtherTokenizer, e.Provenance.Tokenizer, e.Provenance.Template)
	}
	return nil
}

// rows are what an example becomes, as values and as lines, and how what the trainer makes of
// the lines differs from it.
func (j *job) rows(f Format, e Example, s *Summary) (rows []any, lines [][]byte, d Difference, err error) {
	var read []readback.Row
	rows, err = f.rows(j, e)
	if err = lost(&d, err); err != nil {
		return nil, nil, d, err
	}
	for _, r := range rows {
		line, err := marshal(r)
		if err != nil {
			return nil, nil, d, err
		}
		lines = append(lines, line)
		if f.rules == nil { // canonical
			continue
		}
		row, err := f.rules(j)(j.text, line)
		if err := lost(&d, err); err != nil {
			return nil, nil, d, err
		}
		read = append(read, row)
		s.LongestRow = max(s.LongestRow, len(row.IDs))
	}
	if f.rules == nil {
		return rows, lines, d, nil
	}
	all := Compare(j.text, e, read)
	all.Lost = d.Lost
	if d.First != "" {
		all.First = d.First
	}
	return rows, lines, all, nil
}

// lost counts an error that is a difference: the trainer would not train the row.
func lost(d *Difference, err error) error {
	if err == nil || !(errors.Is(err, readback.ErrDropped) || errors.Is(err, readback.ErrRefused) || errors.Is(err, readback.ErrNoSlots)) {
		return err
	}
	d.Lost++
	if d.First == "" {
		d.First = err.Error()
	}
	return nil
}

// verify reads a file of columns again, and holds it to the examples.
func (j *job) verify(ctx context.Context, f Format, src Source, path string, s Summary) error {
	next, stop := iter.Pull2(f.table().rows(path))
	defer stop()
	n := 0
	for e, err := range src {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		want, err := f.rows(j, e)
		if err = lost(&Difference{}, err); err != nil {
			return err
		}
		for _, w := range want {
			got, err, ok := next()
			if n++; err != nil || !ok || !same(got, w) {
				return fmt.Errorf("row %d, example %q, is not read as it was written: %w", n, e.Key, errors.Join(ErrFormat, err))
			}
		}
	}
	if _, _, more := next(); more || n != s.Rows {
		return fmt.Errorf("the file has other rows than were written: %w", ErrFormat)
	}
	return nil
}

// same compares rows by their JSON: a list that is empty and one that is absent are the same.
func same(a, b any) bool {
	if r, ok := a.(exampleRow); ok {
		a = r.example()
	}
	if r, ok := b.(exampleRow); ok {
		b = r.example()
	}
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errX := marshal(a)
	y, errY := marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	if e, ok := v.(Example); ok {
		if err := NewWriter(&b).Write(e); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// sink takes rows as values or as lines.
type sink interface {
	write(rows []any, lines [][]byte) error
	close() error
}

func sinkOf(f Format, file *os.File) sink {
	if f.table == nil {
		return lineSink{bufio.NewWriterSize(file, 1<<16)}
	}
	t := f.table()
	t.open(file)
	return tableSink{t}
}

type lineSink struct{ *bufio.Writer }

func (s lineSink) write(_ []any, lines [][]byte) error {
	for _, l := range lines {
		if _, err := s.Write(l); err != nil {
			return err
		}
	}
	return nil
}

func (s lineSink) close() error { return s.Flush() }

type tableSink struct{ table }

func (s tableSink) write(rows []any, _ [][]byte) error {
	for _, r := range rows {
		if err := s.table.write(r); err != nil {
			return err
		}
	}
	return nil
}

// partial is a file in the making.
type partial struct {
	file *os.File
	path string // where it will be
}

// ErrExists: there is a file already.
var ErrExists = errors.New("there is a file already")

func create(path string, replace bool) (*partial, error) {
	if _, err := os.Lstat(path); err == nil && !replace {
		return nil, fmt.Errorf("%s: %w; choose another name, or --force", path, ErrExists)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-*")
	if err != nil {
		return nil, err
	}
	return &partial{f, path}, nil
}

func (p *partial) discard() {
	p.file.Close() // a second time after publish, or the file is thrown away
	os.Remove(p.file.Name())
}

func (p *partial) publish() error {
	if err := errors.Join(p.file.Chmod(0o644), p.file.Sync(), p.file.Close()); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), p.path)
}
