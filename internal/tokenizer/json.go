package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnsupported marks a tokenizer.json that needs more than byte-level BPE.
var ErrUnsupported = errors.New("unsupported tokenizer")

// document is tokenizer.json, the parts that matter here.
type document struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         bpeModel        `json:"model"`
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type bpeModel struct {
	Type                    string           `json:"type"`
	Dropout                 *float64         `json:"dropout"`
	UnkToken                *string          `json:"unk_token"`
	ContinuingSubwordPrefix *string          `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string          `json:"end_of_word_suffix"`
	FuseUnk                 bool             `json:"fuse_unk"`
	ByteFallback            bool             `json:"byte_fallback"`
	IgnoreMerges            bool             `json:"ignore_merges"`
	Vocab                   map[string]int32 `json:"vocab"`
	Merges                  []mergeText      `json:"merges"`
}

// mergeText is "left right", or since 2024 ["left","right"].
type mergeText [2]string

func (m *mergeText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		left, right, ok := strings.Cut(text, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %q is not two tokens", text)
		}
		*m = mergeText{left, right}
		return nil
	}
	var parts []string
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) != 2 {
		return fmt.Errorf("merge %s is not two tokens", data)
	}
	*m = mergeText{parts[0], parts[1]}
	return nil
}

func (m mergeText) MarshalJSON() ([]byte, error) { return marshal(m[0] + " " + m[1]) }

// component is a part with a type, such as a pre-tokenizer.
type component struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`
}

// Load reads a tokenizer.json. What it cannot do exactly it refuses, naming the part.
func Load(data []byte) (*Tokenizer, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("tokenizer.json: %w: %s; this engine reads byte-level BPE with GPT-2's pattern", ErrUnsupported, fmt.Sprintf(format, args...))
	}
	if d.Model.Type != "BPE" {
		return nil, refuse("model type %q", d.Model.Type)
	}
	if d.Model.ByteFallback || d.Model.IgnoreMerges || (d.Model.Dropout != nil && *d.Model.Dropout != 0) {
		return nil, refuse("model with byte_fallback, ignore_merges or dropout")
	}
	if isSet(d.Normalizer) {
		return nil, refuse("a normalizer")
	}
	var pre component
	if err := json.Unmarshal(d.PreTokenizer, &pre); err != nil || pre.Type != "ByteLevel" || pre.AddPrefixSpace || (pre.UseRegex != nil && !*pre.UseRegex) {
		return nil, refuse("pre_tokenizer %s", d.PreTokenizer)
	}
	size := 0
	for _, id := range d.Model.Vocab {
		size = max(size, int(id)+1)
	}
	if size > 1<<22 {
		return nil, fmt.Errorf("tokenizer.json: an id of %d; no vocabulary is that large", size-1)
	}
	for _, a := range d.AddedTokens {
		if a.LStrip || a.RStrip || a.SingleWord {
			return nil, refuse("added token %q with lstrip, rstrip or single_word", a.Content)
		}
		if a.Content == "" || a.ID < 0 || a.ID > 1<<22 {
			return nil, fmt.Errorf("tokenizer.json: added token %q with id %d", a.Content, a.ID)
		}
		size = max(size, int(a.ID)+1)
	}
	tokens := make([]string, size)
	for s, id := range d.Model.Vocab {
		if id < 0 || int(id) >= size || tokens[id] != "" {
			return nil, fmt.Errorf("tokenizer.json: token %q has id %d, which is taken or out of range", s, id)
		}
		tokens[id] = s
	}
	var added []Added
	for _, a := range d.AddedTokens {
		if a.ID < 0 || (tokens[a.ID] != "" && tokens[a.ID] != a.Content) {
			return nil, fmt.Errorf("tokenizer.json: added token %q has id %d, which is taken", a.Content, a.ID)
		}
		tokens[a.ID] = a.Content
		added = append(added, Added{a.ID, a.Content, a.Special})
	}
	var merges []pair
	for i, m := range d.Model.Merges {
		left, ok1 := d.Model.Vocab[m[0]]
		right, ok2 := d.Model.Vocab[m[1]]
		_, ok3 := d.Model.Vocab[m[0]+m[1]]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("tokenizer.json: merge %d (%q) names a token that is not in the vocabulary", i, m[0]+" "+m[1])
		}
		merges = append(merges, pair{left, right})
	}
	return build(tokens, merges, added), nil
}

func isSet(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// MarshalJSON writes a tokenizer.json that Hugging Face's tokenizers library loads.
func (t *Tokenizer) MarshalJSON() ([]byte, error) {
	null := json.RawMessage("null")
	byteLevel := json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`)
	d := document{Version: "1.0", Truncation: null, Padding: null, Normalizer: null, PostProcessor: null, PreTokenizer: byteLevel, Decoder: byteLevel,
		Model: bpeModel{Type: "BPE", Vocab: map[string]int32{}, Merges: []mergeText{}}, AddedTokens: []addedToken{}}
	for id, s := range t.tokens {
		// Added tokens too: Hugging Face's library numbers those that the model does not know anew.
		if s != "" {
			d.Model.Vocab[s] = int32(id)
		}
	}
	for _, p := range t.merges {
		d.Model.Merges = append(d.Model.Merges, mergeText{t.tokens[p.left], t.tokens[p.right]})
	}
	added := slices.Clone(t.added)
	slices.SortFunc(added, func(a, b Added) int { return int(a.ID - b.ID) })
	for _, a := range added {
		d.AddedTokens = append(d.AddedTokens, addedToken{ID: a.ID, Content: a.Content, Special: a.Special})
	}
	return marshal(d)
}

// marshal is json.Marshal without escaping <, > and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
