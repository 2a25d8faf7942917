package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// parquetRecords reads the plain columns of a Parquet file, as the Hugging Face Hub keeps
// data sets in it. Lists and structures are left out; a null is an absent field.
func parquetRecords(name string, data []byte) (out []record, err error) {
	defer func() { // the library panics on some damaged files
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: %s: damaged: %v", ErrFormat, name, p)
		}
	}()
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	names := map[int]string{} // by column
	for i, path := range file.Schema().Columns() {
		leaf, ok := file.Schema().Lookup(path...)
		if ok && len(path) == 1 && !leaf.Node.Repeated() {
			names[i] = lower(path[0])
		}
	}
	for _, group := range file.RowGroups() {
		if out, err = parquetRows(name, group, names, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parquetRows(name string, group parquet.RowGroup, names map[int]string, out []record) (_ []record, err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			r := record{where: fmt.Sprintf("%s row %d", name, len(out)+1), fields: map[string]string{}}
			for _, v := range row {
				field, ok := names[v.Column()]
				if ok && !v.IsNull() {
					r.fields[field] = v.String()
				}
			}
			out = append(out, r)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s row %d: %w", ErrFormat, name, len(out)+1, err)
		}
	}
}
