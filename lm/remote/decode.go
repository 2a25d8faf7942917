package remote

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient is how answers are read: names that come twice and bytes that are no UTF-8 are the
// server's own business, and no reason to ask again.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode reads JSON.
func decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v, lenient); err != nil {
		if len(bytes.TrimSpace(data)) == 0 {
			return fmt.Errorf("%w: it is empty", ErrGarbage)
		}
		return fmt.Errorf("%w: %w in %s", ErrGarbage, err, oneLine(data))
	}
	return nil
}

// tokenIDs are token ids in an answer. A prompt has thousands of them, and most of an
// answer's bytes are such lists: they are read by hand from what the decoder has checked.
type tokenIDs []int32

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (ids *tokenIDs) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	list, err := d.ReadValue()
	if err != nil {
		return err
	}
	*ids, err = list32(list)
	return err
}

// list32 reads a JSON list of 32-bit integers, which is valid JSON; null or nothing is nil.
func list32(list []byte) ([]int32, error) {
	if len(list) == 0 || string(list) == "null" {
		return nil, nil
	}
	if len(list) < 2 || list[0] != '[' {
		return nil, fmt.Errorf("token ids are not a list: %s", oneLine(list))
	}
	inner := bytes.TrimSpace(list[1 : len(list)-1])
	if len(inner) == 0 {
		return []int32{}, nil
	}
	ids := make([]int32, 0, bytes.Count(inner, []byte{','})+1)
	for at := 0; ; at++ {
		id, next := integer(inner, at)
		if next < 0 {
			return nil, fmt.Errorf("token id %d is no number of 32 bits: %s", len(ids)+1, oneLine(inner[at:]))
		}
		ids = append(ids, id)
		if at = next; at == len(inner) {
			return ids, nil
		}
	}
}

// integer reads the number at a place in a list without brackets, and the space around it.
// next is the place of the comma behind it or the end; below 0: there is no integer of 32 bits.
func integer(list []byte, at int) (n int32, next int) {
	for at < len(list) && isSpace(list[at]) {
		at++
	}
	sign, first := int64(1), at
	if at < len(list) && list[at] == '-' {
		sign, first, at = -1, at+1, at+1
	}
	value := int64(0)
	for ; at < len(list) && '0' <= list[at] && list[at] <= '9'; at++ {
		if value = 10*value + int64(list[at]-'0'); value > math.MaxInt32+1 {
			return 0, -1
		}
	}
	value *= sign
	none := at == first || value > math.MaxInt32
	for at < len(list) && isSpace(list[at]) {
		at++
	}
	if none || at < len(list) && list[at] != ',' {
		return 0, -1
	}
	return int32(value), at
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// oneLine is the beginning of a text on one line, for errors.
func oneLine(data []byte) string {
	const most = 200
	cut := data[:min(len(data), 4*most)]
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(cut), "\uFFFD")), " ")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}
