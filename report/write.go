package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stargate/eval"
)

// The files of a report.
const (
	ResultFile = "report.json"
	BrowseFile = "browse.json"
	PageFile   = "report.html"
)

// Write puts report.json, browse.json and report.html into dir, which must exist. Each
// file appears whole or not at all; the page comes last, so that where it is there the
// other two are.
func Write(dir string, d Data) error {
	if d.Result == nil {
		return errors.New("report: there is no result to write; evaluate the run first")
	}
	result, err := canonical(d.Result)
	if err != nil {
		return fmt.Errorf("report: %s: %w", ResultFile, err)
	}
	browse, err := canonical(d.Browse)
	if err != nil {
		return fmt.Errorf("report: %s: %w", BrowseFile, err)
	}
	var page bytes.Buffer
	if err := HTML(&page, d); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{ResultFile, result}, {BrowseFile, browse}, {PageFile, page.Bytes()}} {
		if err := writeFile(filepath.Join(dir, f.name), f.data); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// Load reads what Write left, to draw the page again.
func Load(dir string) (Data, error) {
	d := Data{Result: new(eval.Result)}
	for _, f := range []struct {
		name string
		into any
	}{{ResultFile, d.Result}, {BrowseFile, &d.Browse}} {
		raw, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return Data{}, fmt.Errorf("report: %w; finish the run first", err)
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(f.into); err != nil {
			return Data{}, fmt.Errorf("report: %s is not what this version writes: %w; repeat the run's command to write it again", filepath.Join(dir, f.name), err)
		}
	}
	return d, nil
}

// canonical is JSON with two-space indents, struct fields in order, map keys sorted, text
// unescaped where JSON allows, and a newline at the end.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeFile replaces path by a file holding data, through a temporary file in the same
// folder that is flushed to disk before it takes the name.
func writeFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreGone(os.Remove(tmp.Name())))
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := tmp.Chmod(0o644); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := tmp.Sync(); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
