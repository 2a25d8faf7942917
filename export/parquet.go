package export

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"stargate/lm"
)

// rowGroup is how many rows are in memory while a Parquet file is written, and in one group of
// its rows.
const rowGroup = 1000

// table is a file of columns, and how it is read again.
type table interface {
	open(io.Writer)
	write(row any) error
	close() error
	rows(path string) iter.Seq2[any, error]
}

// columns is a table of rows of type T.
type columns[T any] struct {
	out     *parquet.GenericWriter[T]
	pending int
}

func (c *columns[T]) open(w io.Writer) {
	c.out = parquet.NewGenericWriter[T](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}), parquet.CreatedBy("stargate", "", ""))
}

func (c *columns[T]) write(row any) error {
	if _, err := c.out.Write([]T{row.(T)}); err != nil {
		return err
	}
	if c.pending++; c.pending < rowGroup {
		return nil
	}
	c.pending = 0
	return c.out.Flush()
}

func (c *columns[T]) close() error { return c.out.Close() }

// rows reads a file, some rows at a time.
func (c *columns[T]) rows(path string) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		if err := readColumns(path, func(row T) bool { return yield(row, nil) }); err != nil {
			yield(nil, fmt.Errorf("%s: %w", path, err))
		}
	}
}

func readColumns[T any](path string, each func(T) bool) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	defer func() {  // the library panics on some damaged files
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: damaged: %v", ErrFormat, p)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	in := parquet.NewGenericReader[T](file)
	defer in.Close() // only read
	for {
		rows := make([]T, 64) // not used again: the lists in them are the caller's
		n, err := in.Read(rows)
		for _, r := range rows[:n] {
			if !each(r) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
}

// exampleRow is an example in columns. Text columns are named as in the lines; a run's columns
// are null where an example is of elsewhere.
type exampleRow struct {
	Schema    string       `parquet:"schema,dict"`
	Key       string       `parquet:"key"`
	Messages  []messageCol `parquet:"messages,list"`
	Loss      []int32      `parquet:"loss,list"`
	IDs       []int32      `parquet:"input_ids,list"`
	Weights   []float32    `parquet:"weights,list"`
	Run       *string      `parquet:"run,optional,dict"`
	Identity  *string      `parquet:"identity,optional,dict"`
	Iteration *int32       `parquet:"iteration,optional"`
	Split     *string      `parquet:"split,optional,dict"`
	Pair      *string      `parquet:"pair,optional"`
	Sample    *int32       `parquet:"sample,optional"`
	Score     *float64     `parquet:"score,optional"`
	GoldToks  *int32       `parquet:"gold_tokens,optional"`
	Margin    *float64     `parquet:"margin,optional"`
	Model     string       `parquet:"model,dict"`
	Tokenizer string       `parquet:"tokenizer,dict"`
	Template  string       `parquet:"template,dict"`
	Weighting string       `parquet:"weighting,dict"`
	Version   string       `parquet:"version,dict"`
}

type messageCol struct {
	Role    string `parquet:"role,dict"`
	Content string `parquet:"content"`
}

func rowOfExample(e Example) exampleRow {
	r := exampleRow{Schema: e.Schema, Key: e.Key, IDs: e.IDs, Weights: e.Weights, Model: e.Provenance.Model, Tokenizer: e.Provenance.Tokenizer, Template: e.Provenance.Template, Weighting: e.Provenance.Weighting, Version: e.Provenance.Version}
	for _, m := range e.Messages {
		r.Messages = append(r.Messages, messageCol{string(m.Role), m.Content})
	}
	for _, i := range e.Loss {
		r.Loss = append(r.Loss, int32(i))
	}
	if o := e.Provenance.Origin; o != nil {
		iteration, sample, gold := int32(o.Iteration), int32(o.Sample), int32(o.GoldToks)
		r.Run, r.Identity, r.Iteration, r.Split, r.Pair, r.Sample, r.Score, r.GoldToks, r.Margin = &o.Run, &o.Identity, &iteration, &o.Split, &o.Pair, &sample, &o.Score, &gold, &o.Margin
	}
	return r
}

func (r exampleRow) example() Example {
	e := Example{Schema: r.Schema, Key: r.Key, Loss: []int{}, IDs: r.IDs, Weights: r.Weights, Provenance: Provenance{Model: r.Model, Tokenizer: r.Tokenizer, Template: r.Template, Weighting: r.Weighting, Version: r.Version}}
	for _, m := range r.Messages {
		e.Messages = append(e.Messages, lm.Message{Role: lm.Role(m.Role), Content: m.Content})
	}
	for _, i := range r.Loss {
		e.Loss = append(e.Loss, int(i))
	}
	if r.Run != nil {
		e.Provenance.Origin = &Origin{Run: *r.Run, Identity: or(r.Identity), Iteration: int(or(r.Iteration)), Split: or(r.Split), Pair: or(r.Pair), Sample: int(or(r.Sample)), Score: or(r.Score), GoldToks: int(or(r.GoldToks)), Margin: or(r.Margin)}
	}
	return e
}

func or[T any](p *T) T {
	var none T
	if p == nil {
		return none
	}
	return *p
}
