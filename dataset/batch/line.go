package batch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
)

// Line is one request of a batch.
type Line struct {
	ID   string          `json:"id"`   // of path, body and draw
	Path string          `json:"path"` // "/v1/chat/completions"
	Body json.RawMessage `json:"body"`
}

// newLine names a request. The draw is the seed that the caller wants, which an API without
// seeds has no field for: two draws of one prompt are two lines. 64 characters of
// hexadecimal are what every provider takes as a custom_id.
func newLine(path string, body []byte, draw uint64) Line {
	h := sha256.New()
	h.Write([]byte(path))
	h.Write([]byte{0})
	h.Write(binary.LittleEndian.AppendUint64(nil, draw))
	h.Write(body)
	return Line{ID: hex.EncodeToString(h.Sum(nil)), Path: path, Body: body}
}

// Answer is what the provider said to a line: a status and a body, as a live call would
// have them.
type Answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// size is what a line takes of a batch file, about.
func (l Line) size() int { return len(l.Body) + len(l.ID) + len(l.Path) + 64 }

// split cuts lines into parts that keep a provider's limits.
func split(lines []Line, most, bytes int) [][]Line {
	var parts [][]Line
	from, size := 0, 0
	for i, l := range lines {
		if i > from && (i-from >= most || size+l.size() > bytes) {
			parts, from, size = append(parts, lines[from:i]), i, 0
		}
		size += l.size()
	}
	if from < len(lines) {
		parts = append(parts, lines[from:])
	}
	return parts
}
