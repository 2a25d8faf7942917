package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Manifest lists the shards of a finished stage in order.
type Manifest struct {
	Schema int     `json:"schema"` // of this document: 1
	Stage  string  `json:"stage"`
	Kind   string  `json:"rows"` // "conversation 1" or "call 1"
	Rows   int64   `json:"row_count"`
	Pairs  int64   `json:"pair_count,omitempty"`
	Bytes  int64   `json:"byte_count"`
	Shards []Entry `json:"shards"`
}

func manifestName(stage string) string { return stage + "/_manifest.json" }

// Seal writes the manifest of a stage from the entries of its shards, numbered from 0 and in
// order. Like a shard it is written once: sealing the same again does nothing.
func Seal[T Row](ctx context.Context, s *Store, stage string, shards []Entry) (Manifest, error) {
	m := Manifest{Schema: 1, Stage: stage, Kind: kind[T](), Shards: shards}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("shards %s: seal: %w", s.shown, err)
	}
	for _, e := range shards {
		m.Rows, m.Pairs, m.Bytes = m.Rows+e.Rows, m.Pairs+e.Pairs, m.Bytes+e.Bytes
	}
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return m, fmt.Errorf("shards %s: seal stage %s: %w", s.shown, stage, err)
	}
	return m, s.publish(ctx, manifestName(stage), append(data, '\n'))
}

// Digest is a SHA-256, in hexadecimal, over the digests of all shards in order: what a stage holds,
// byte for byte.
func (m Manifest) Digest() string {
	h := sha256.New()
	for _, e := range m.Shards {
		_, _ = io.WriteString(h, e.Name+" "+e.SHA256+"\n") // a hash does not fail
	}
	return hex.EncodeToString(h.Sum(nil))
}

// check tells whether the shards are all there and pairs whole across them.
func (m Manifest) check() error {
	if len(m.Shards) == 0 {
		return fmt.Errorf("stage %s has no shards", m.Stage)
	}
	for i, e := range m.Shards {
		name, err := shardName(m.Stage, i)
		if err != nil {
			return err
		}
		if e.Name != name {
			return fmt.Errorf("stage %s: shard %d is %q, want %q", m.Stage, i, e.Name, name)
		}
		if i > 0 && strings.HasPrefix(m.Kind, "conversation") && e.First == m.Shards[i-1].Last {
			return fmt.Errorf("stage %s: pair %s is cut between shards %d and %d", m.Stage, e.First, i-1, i)
		}
	}
	return nil
}

// Manifest reads the manifest of a stage. It fails with [ErrNotExist] if the stage is not
// finished.
func (s *Store) Manifest(ctx context.Context, stage string) (m Manifest, err error) {
	name := manifestName(stage)
	data, err := s.read(ctx, name)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("shards %s: %s: %w: %w", s.shown, name, ErrDamaged, err)
	}
	if m.Schema != 1 {
		return m, fmt.Errorf("shards %s: %s: schema %d is of a newer program; this one knows 1", s.shown, name, m.Schema)
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("shards %s: %s: %w: %w", s.shown, name, ErrDamaged, err)
	}
	return m, nil
}

// Rows reads a stage in order. Each shard is checked against its digest before its first
// row is given; one is in memory at a time. After an error nothing more is given.
func Rows[T Row](ctx context.Context, s *Store, m Manifest) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for _, e := range m.Shards {
			data, err := s.load(ctx, e)
			if err != nil {
				yield(none, err)
				return
			}
			for row, err := range decode[T](data) {
				if err != nil {
					yield(none, fmt.Errorf("shards %s: %s: %w", s.shown, e.Name, err))
					return
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// Verify reads a whole stage and compares every shard with the manifest: digest, counts,
// order, whole pairs. It goes through all and joins what it finds.
func Verify[T Row](ctx context.Context, s *Store, m Manifest) error {
	var found []error
	for _, e := range m.Shards {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(found, err)...)
		}
		if err := verify[T](ctx, s, e); err != nil {
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

func verify[T Row](ctx context.Context, s *Store, e Entry) error {
	data, err := s.load(ctx, e)
	if err != nil {
		return err
	}
	var rows []T
	for row, err := range decode[T](data) {
		if err != nil {
			return fmt.Errorf("shards %s: %s: %w", s.shown, e.Name, err)
		}
		rows = append(rows, row)
	}
	have, err := describe(e.Name, rows, data)
	if err == nil && have != e {
		err = fmt.Errorf("the manifest says %+v, the shard %+v", e, have)
	}
	if err != nil {
		return fmt.Errorf("shards %s: %s: %w: %w", s.shown, e.Name, ErrDamaged, err)
	}
	return nil
}
