package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"stargate/export"
	"stargate/export/exporttest"
	"stargate/lm"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-update rewrites it):\n%s", path, d)
	}
}

// The bytes of every format, for a conversation of two turns.
func TestGolden(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text, "two turns")
	for _, f := range export.Formats() {
		if f.Suffix == ".parquet" {
			continue // TestParquet
		}
		s, err := write(t, f.Name, text, es, export.Options{Lossy: f.Name == "trl-messages"})
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for _, path := range append([]string{s.Path}, s.Beside...) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString("-- " + filepath.Base(path) + " --\n")
			all.Write(data)
		}
		golden(t, f.Name+".txt", all.Bytes())
	}
}

// What is written is read again as it was, is of the schema, and is the same bytes every time.
func TestCanonical(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text)
	es[0].Provenance.Origin = nil
	es[1].Weights[len(es[1].Weights)-1] = 0.7312
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		w := export.NewWriter(b)
		for _, e := range es {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("written twice, the bytes differ")
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(exporttest.Root(t), "docs", "example.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(first.Bytes()), []byte("\n")) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	r := export.NewReader(&first, "f")
	for i, want := range es {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" || r.Line() != i+1 {
			t.Errorf("line %d:\n%s", r.Line(), d)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// Any example that can be written is read as it was.
func TestCanonicalRoundTrip(t *testing.T) {
	text := exporttest.Text(t, "nano")
	rapid.Check(t, func(t *rapid.T) {
		e := lm.Example{Key: rapid.StringN(1, 20, -1).Draw(t, "key"), Messages: lm.Chat{
			{Role: lm.User, Content: rapid.String().Draw(t, "question")}, {Role: lm.Assistant, Content: rapid.StringN(1, -1, -1).Draw(t, "answer")},
		}, Loss: []int{1}}
		want, err := export.Encode(text, e, rapid.Float64Range(1e-3, 1e3).Draw(t, "weight"), export.Provenance{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := export.NewWriter(&b).Write(want); err != nil {
			t.Fatal(err)
		}
		got, err := export.NewReader(&b, "f").Next()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// Every kind of damage is an error that names the line.
func TestReaderIsStrict(t *testing.T) {
	var b bytes.Buffer
	text := exporttest.Text(t, "nano")
	if err := export.NewWriter(&b).Write(encoded(t, text, "one turn")[0]); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	set := func(path string, v any) string {
		var line map[string]any
		if err := json.Unmarshal([]byte(good), &line); err != nil {
			t.Fatal(err)
		}
		line[path] = v
		data, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		return string(data) + "\n"
	}
	for name, tt := range map[string]struct{ line, says string }{
		"garbage":               {"{\n", "line 2"},
		"an empty line":         {"\n", "empty"},
		"cut off":               {strings.TrimSpace(good), "in the middle"},
		"not UTF-8":             {strings.Replace(good, "Hello", "Hell\xff", 1), "UTF-8"},
		"another schema":        {set("schema", "stargate.example.v9"), "v9"},
		"an unknown field":      {set("colour", "red"), "colour"},
		"a field twice":         {strings.Replace(good, `"key":`, `"key":"a","key":`, 1), "duplicate"},
		"another case":          {strings.Replace(good, `"key":`, `"Key":`, 1), "Key"},
		"no key":                {set("key", ""), "key is empty"},
		"no messages":           {set("messages", []any{}), "no messages"},
		"no tokens":             {set("input_ids", []int{}), "no tokens"},
		"too few weights":       {set("weights", []int{1}), "1 weights for"},
		"a negative id":         {strings.Replace(good, `"input_ids":[`, `"input_ids":[-`, 1), "want an id from 0"},
		"half an id":            {strings.Replace(good, `"input_ids":[`, `"input_ids":[0.5,`, 1), "input_ids"},
		"a negative weight":     {strings.Replace(good, `"weights":[0,`, `"weights":[-1,`, 1), "want a number from 0"},
		"a weight as a word":    {strings.Replace(good, `"weights":[0,`, `"weights":["x",`, 1), "weights"},
		"loss of a user":        {set("loss", []int{0}), "not an assistant message"},
		"loss outside":          {set("loss", []int{7}), "7 of 2"},
		"loss twice":            {set("loss", []int{1, 1}), "ascend"},
		"a role nobody has":     {strings.Replace(good, `"role":"user"`, `"role":"tool"`, 1), `"tool"`},
		"no tokenizer's digest": {set("provenance", map[string]any{"tokenizer": "", "template": "x"}), "which tokenizer"},
		"two on a line":         {strings.TrimSpace(good) + good, "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := export.NewReader(strings.NewReader(good+tt.line), "data.jsonl")
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			_, err := r.Next()
			if !errors.Is(err, export.ErrFormat) || !strings.Contains(err.Error(), "data.jsonl, line 2") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want line 2 and %q", err, tt.says)
			}
		})
	}
}

func TestRead(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text)
	save := func(es ...export.Example) string {
		path := filepath.Join(t.TempDir(), "data.jsonl")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, e := range es {
			if err := export.NewWriter(f).Write(e); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	got, err := export.Read(save(es...))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exporttest.Conversations(), got); d != "" {
		t.Error(d)
	}
	if _, err := export.Read(save(es[0], es[1], es[0])); !errors.Is(err, export.ErrDuplicate) || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), "in line 1") {
		t.Errorf("the same key twice: %v", err)
	}
	masked := encoded(t, text, "long")[0]
	clear(masked.Weights)
	if _, err := export.Read(save(masked)); !errors.Is(err, lm.ErrNoLoss) || !strings.Contains(err.Error(), `"long"`) {
		t.Errorf("all masked: %v", err)
	}
	weighted := encoded(t, text, "long")[0]
	weighted.Weights[len(weighted.Weights)-1] = 0.5
	if _, err := export.Read(save(weighted)); !errors.Is(err, export.ErrWeighted) {
		t.Errorf("weighted: %v", err)
	}
	if _, err := export.Read(save()); err == nil {
		t.Error("an empty file was read")
	}
	if _, err := export.Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Columns keep what lines keep, and are the same bytes every time.
func TestParquet(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text)
	es[0].Provenance.Origin = nil
	var many []export.Example
	for i := range 2100 { // several groups of rows
		e := es[i%len(es)]
		e.Key += strings.Repeat("'", i/len(es))
		many = append(many, e)
	}
	var bytesOf [2][]byte
	for i := range bytesOf {
		s, err := write(t, "parquet", text, many, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for e, err := range export.File(s.Path) {
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(many[n], e) {
				t.Fatalf("row %d:\n%s", n, cmp.Diff(many[n], e))
			}
			n++
		}
		if n != len(many) {
			t.Errorf("%d rows of %d", n, len(many))
		}
		if bytesOf[i], err = os.ReadFile(s.Path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(bytesOf[0], bytesOf[1]) {
		t.Error("written twice, the bytes differ")
	}
	path := filepath.Join(t.TempDir(), "damaged.parquet")
	if err := os.WriteFile(path, bytesOf[0][:len(bytesOf[0])/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Read(path); !errors.Is(err, export.ErrFormat) || !strings.Contains(err.Error(), "damaged.parquet") {
		t.Errorf("half a file: %v", err)
	}
}

// No line makes the reader panic, and what it accepts it can write again.
func FuzzReader(f *testing.F) {
	text := exporttest.Text(f, "nano")
	for _, e := range encoded(f, text) {
		var b bytes.Buffer
		if err := export.NewWriter(&b).Write(e); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"schema":"stargate.example.v1","key":"a","messages":[],"loss":null,"input_ids":[1],"weights":[1e39]}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := export.NewReader(bytes.NewReader(data), "f")
		for {
			e, err := r.Next()
			if err != nil {
				return
			}
			var b bytes.Buffer
			if err := export.NewWriter(&b).Write(e); err != nil {
				t.Fatalf("read but not written: %v", err)
			}
			again, err := export.NewReader(&b, "g").Next()
			if err != nil {
				t.Fatalf("written but not read: %v\n%s", err, b.Bytes())
			}
			if again.Key != e.Key {
				t.Fatalf("%+v became %+v", e, again)
			}
			if !slices.Equal(again.IDs, e.IDs) || !slices.Equal(again.Weights, e.Weights) {
				t.Fatalf("%+v became %+v", e, again)
			}
		}
	})
}
