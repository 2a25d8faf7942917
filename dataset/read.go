package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// ErrFormat marks a file that cannot be understood; the text says where and what was expected.
var ErrFormat = errors.New("unreadable data")

// record is one entry of a file: its fields by lower-case name. A bare string has the
// field "".
type record struct {
	where  string // "tasks.csv line 7" or "tasks.json entry 7"
	fields map[string]string
}

// get is the first of the named fields that is there.
func (r record) get(names ...string) (string, bool) {
	for _, n := range names {
		if v, ok := r.fields[n]; ok {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// records are the entries of a file.
func records(name string, data []byte) (all []record, err error) {
	err = eachRecord(name, data, func(r record) error {
		all = append(all, r)
		return nil
	})
	return all, err
}

// eachRecord reads a file of entries by the extension of its name, and visits one after the
// other: of a file of lines, one is in memory at a time.
func eachRecord(name string, data []byte, visit func(record) error) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return csvRecords(name, data, visit)
	case ".jsonl", ".ndjson":
		return jsonlRecords(name, data, visit)
	case ".json":
		return jsonRecords(name, data, visit)
	case ".parquet":
		all, err := parquetRecords(name, data)
		for _, r := range all {
			if err == nil {
				err = visit(r)
			}
		}
		return err
	}
	return fmt.Errorf("%w: %s: the name ends in none of .json, .jsonl, .csv, .parquet", ErrFormat, name)
}

func csvRecords(name string, data []byte, visit func(record) error) error {
	r := csv.NewReader(bytes.NewReader(data))
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	for i := range header {
		header[i] = lower(header[i])
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
		}
		line, _ := r.FieldPos(0)
		rec := record{where: fmt.Sprintf("%s line %d", name, line), fields: map[string]string{}}
		for i, v := range row {
			rec.fields[header[i]] = v
		}
		if err := visit(rec); err != nil {
			return err
		}
	}
}

func jsonlRecords(name string, data []byte, visit func(record) error) error {
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 64<<20)
	for line := 1; s.Scan(); line++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		r, err := jsonRecord(fmt.Sprintf("%s line %d", name, line), s.Bytes())
		if err == nil {
			err = visit(r)
		}
		if err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	return nil
}

func jsonRecords(name string, data []byte, visit func(record) error) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("%w: %s: want a JSON array of strings or objects: %w", ErrFormat, name, position(data, err))
	}
	for i, entry := range raw {
		r, err := jsonRecord(fmt.Sprintf("%s entry %d", name, i+1), entry)
		if err == nil {
			err = visit(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func jsonRecord(where string, data []byte) (record, error) {
	r := record{where: where, fields: map[string]string{}}
	var text string
	if json.Unmarshal(data, &text) == nil {
		r.fields[""] = text
		return r, nil
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return r, fmt.Errorf("%w: %s: want a string or an object: %w", ErrFormat, where, err)
	}
	for k, v := range object {
		switch v := v.(type) {
		case string:
			r.fields[strings.ToLower(k)] = v
		case []any: // the authors wrap a gold response in a list of one
			if len(v) == 1 {
				if s, ok := v[0].(string); ok {
					r.fields[strings.ToLower(k)] = s
				}
			}
		case float64:
			r.fields[strings.ToLower(k)] = strings.TrimSuffix(fmt.Sprintf("%g", v), ".0")
		}
	}
	return r, nil
}

// position puts a line number on a JSON error.
func position(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")), err)
	}
	return err
}

func lower(field string) string { return strings.ToLower(strings.TrimSpace(field)) }

// fieldNames lists a record's fields for error messages.
func (r record) fieldNames() string {
	var names []string
	for k := range r.fields {
		names = append(names, k)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
