package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cutScript is "cut EXAMPLES OUT N": the examples without their last N tokens, as a trainer's
// max_length leaves them.
func cutScript(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	var out strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var row map[string]json.RawMessage
		ts.Check(json.Unmarshal([]byte(line), &row))
		for _, field := range []string{"input_ids", "weights"} {
			var list []json.RawMessage
			ts.Check(json.Unmarshal(row[field], &list))
			cut, err := json.Marshal(list[:len(list)-n])
			ts.Check(err)
			row[field] = cut
		}
		data, err := json.Marshal(row)
		ts.Check(err)
		out.Write(data)
		out.WriteByte('\n')
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out.String()), 0o644))
}
