package shard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Row is what a shard may hold.
type Row interface{ Conversation | Call }

// Entry is what one needs to know of a shard to find it and to trust it.
type Entry struct {
	Name   string `json:"name"` // of the object, below the store's address
	Rows   int64  `json:"rows"`
	Pairs  int64  `json:"pairs,omitempty"` // of conversations
	First  string `json:"first"`           // pair, or key of a call
	Last   string `json:"last"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// kind names a row type and its version in files and manifests.
func kind[T Row]() string {
	var row T
	if _, ok := any(row).(Call); ok {
		return "call 1"
	}
	return "conversation 1"
}

// label is the pair or key of a row.
func label[T Row](row T) string {
	switch r := any(row).(type) {
	case Call:
		return hex.EncodeToString(r.Key[:])
	case Conversation:
		return r.Task + "/" + r.Persona
	}
	panic("shard: a row type without a label")
}

// describe makes the entry of a shard and checks that its rows are of whole pairs, or
// ordered by key.
func describe[T Row](name string, rows []T, data []byte) (Entry, error) {
	e := Entry{Name: name, Rows: int64(len(rows)), Bytes: int64(len(data))}
	sum := sha256.Sum256(data)
	e.SHA256 = hex.EncodeToString(sum[:])
	if len(rows) == 0 {
		return e, fmt.Errorf("shards: %s has no rows", name)
	}
	e.First, e.Last = label(rows[0]), label(rows[len(rows)-1])
	seen := make(map[string]bool)
	for i, r := range rows {
		here := label(r)
		c, conversation := any(r).(Conversation)
		switch {
		case !conversation && i > 0 && here <= label(rows[i-1]):
			return e, fmt.Errorf("shards: %s: call %s is out of order", name, here)
		case conversation && i > 0 && here == label(rows[i-1]):
			if c.Sample <= any(rows[i-1]).(Conversation).Sample {
				return e, fmt.Errorf("shards: %s: pair %s: sample %d is out of order", name, here, c.Sample)
			}
		case conversation && seen[here]:
			return e, fmt.Errorf("shards: %s: the rows of pair %s are not together", name, here)
		case conversation:
			seen[here] = true
		}
	}
	e.Pairs = int64(len(seen))
	return e, nil
}

// encode makes the bytes of a shard: the same for the same rows.
func encode[T Row](rows []T) ([]byte, error) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}),
		parquet.CreatedBy("stargate", "1", "shard"),
		parquet.KeyValueMetadata("stargate.rows", kind[T]()),
		parquet.DataPageStatistics(true),
	)
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode yields the rows of a shard's bytes, a few hundred in memory at a time.
func decode[T Row](data []byte) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			yield(none, fmt.Errorf("%w: %w", ErrDamaged, err))
			return
		}
		if have, _ := f.Lookup("stargate.rows"); have != kind[T]() {
			yield(none, fmt.Errorf("it holds rows of kind %q, want %q", have, kind[T]()))
			return
		}
		r := parquet.NewGenericReader[T](f)
		rows := make([]T, 256)
		more := true
		for more {
			clear(rows) // lists are appended to
			n, err := r.Read(rows)
			for _, row := range rows[:n] {
				if !yield(row, nil) {
					more = false
					break
				}
			}
			if err != nil && more {
				if !errors.Is(err, io.EOF) {
					yield(none, fmt.Errorf("%w: %w", ErrDamaged, err))
				}
				more = false
			}
		}
		_ = r.Close() // it reads memory
	}
}

// Publish writes rows as shard n of a stage. Conversations are of whole pairs, those of a
// pair together and ordered by sample; calls are ordered by key. If the shard is there with
// the same content, its entry is returned all the same; with another one Publish fails with
// [ErrConflict]. A shard larger than [MaxBytes] fails with [ErrTooLarge].
func Publish[T Row](ctx context.Context, s *Store, stage string, n int, rows []T) (Entry, error) {
	name, err := shardName(stage, n)
	if err != nil {
		return Entry{}, err
	}
	data, err := encode(rows)
	if err != nil {
		return Entry{}, fmt.Errorf("shards %s: make %s: %w", s.shown, name, err)
	}
	e, err := describe(name, rows, data)
	if err != nil {
		return Entry{}, err
	}
	if len(data) > MaxBytes {
		return Entry{}, fmt.Errorf("shards %s: %s: %w (%d bytes of %d pairs, at most %d): put fewer pairs into a shard", s.shown, name, ErrTooLarge, len(data), e.Pairs, MaxBytes)
	}
	return e, s.publish(ctx, name, data)
}

// Inspect reads shard n of a stage, checks it and makes its entry; found is false if it is
// not there.
func Inspect[T Row](ctx context.Context, s *Store, stage string, n int) (e Entry, found bool, err error) {
	_, e, found, err = Read[T](ctx, s, stage, n)
	return e, found, err
}

// Read is [Inspect] with the rows.
func Read[T Row](ctx context.Context, s *Store, stage string, n int) (rows []T, e Entry, found bool, err error) {
	name, err := shardName(stage, n)
	if err != nil {
		return nil, e, false, err
	}
	data, err := s.read(ctx, name)
	if errors.Is(err, ErrNotExist) {
		return nil, e, false, nil
	}
	if err != nil {
		return nil, e, false, err
	}
	for row, err := range decode[T](data) {
		if err != nil {
			return nil, e, false, fmt.Errorf("shards %s: %s: %w", s.shown, name, err)
		}
		rows = append(rows, row)
	}
	if e, err = describe(name, rows, data); err != nil {
		return nil, e, false, err
	}
	return rows, e, true, nil
}

// load reads the bytes of a shard and compares them with its entry.
func (s *Store) load(ctx context.Context, e Entry) ([]byte, error) {
	data, err := s.read(ctx, e.Name)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("shards %s: %s: %w: %d bytes with digest %.6x, expected %d with %.12s: bring it back from a copy, or delete it and its manifest and run the stage again",
			s.shown, e.Name, ErrDamaged, len(data), sum, e.Bytes, e.SHA256)
	}
	return data, nil
}
