package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrUnsupported marks a tokenizer.json that needs more than this package has.
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

// MarshalJSON writes the older form where it can: every version of Hugging Face's library reads it.
func (m mergeText) MarshalJSON() ([]byte, error) {
	if strings.Contains(m[0]+m[1], " ") {
		return marshal([2]string(m))
	}
	return marshal(m[0] + " " + m[1])
}

// maxID bounds the memory a hostile file can ask for.
const maxID = 1 << 22

// Load reads a tokenizer.json. What it cannot do exactly it refuses with [ErrUnsupported],
// naming the part. Truncation and padding, which transformers sets for each call, are not
// applied.
func Load(data []byte) (*Tokenizer, error) {
	d, err := readDocument(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t, err := d.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	return t, nil
}

// readDocument refuses fields that it does not know.
func readDocument(data []byte) (*document, error) {
	var d document
	r := json.NewDecoder(bytes.NewReader(data))
	r.DisallowUnknownFields()
	err := r.Decode(&d)
	if err == nil {
		if _, err := r.Token(); err != io.EOF {
			return nil, errors.New("there is text behind the document")
		}
		return &d, nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it ends in the middle: %w", err)
	}
	// The model of another kind has other fields: name the kind rather than a field.
	var kind struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if json.Unmarshal(data, &kind) == nil && kind.Model.Type != "BPE" && kind.Model.Type != "" {
		return nil, fmt.Errorf("%w: model type %q", ErrUnsupported, kind.Model.Type)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return nil, fmt.Errorf("%w: field %s", ErrUnsupported, field)
	}
	return nil, err
}

func (d *document) tokenizer() (*Tokenizer, error) {
	s, err := d.scheme()
	if err != nil {
		return nil, err
	}
	v, err := d.vocabulary()
	if err != nil {
		return nil, err
	}
	v.merges = make([]pair, len(d.Model.Merges))
	for i, m := range d.Model.Merges {
		left, ok1 := d.Model.Vocab[m[0]]
		right, ok2 := d.Model.Vocab[m[1]]
		_, ok3 := d.Model.Vocab[m[0]+m[1]]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("merge %d (%q) names a token that is not in the vocabulary", i, m[0]+" "+m[1])
		}
		v.merges[i] = pair{left, right}
	}
	return build(v, s)
}

// vocabulary is the tokens by id, those of the model and the added ones.
func (d *document) vocabulary() (v vocabulary, err error) {
	size := 0
	for s, id := range d.Model.Vocab {
		if s == "" || id < 0 || id > maxID {
			return v, fmt.Errorf("token %q has id %d; ids are 0 to %d", s, id, maxID)
		}
		size = max(size, int(id)+1)
	}
	for _, a := range d.AddedTokens {
		if a.Content == "" || a.ID < 0 || a.ID > maxID {
			return v, fmt.Errorf("added token %q has id %d; ids are 0 to %d", a.Content, a.ID, maxID)
		}
		size = max(size, int(a.ID)+1)
	}
	v = vocabulary{tokens: make([]string, size), outside: map[int32]bool{}}
	for s, id := range d.Model.Vocab {
		if v.tokens[id] != "" {
			return v, fmt.Errorf("tokens %q and %q have the same id %d", min(s, v.tokens[id]), max(s, v.tokens[id]), id)
		}
		v.tokens[id] = s
	}
	seen := map[string]bool{}
	for _, a := range d.AddedTokens {
		id, known := d.Model.Vocab[a.Content]
		if seen[a.Content] || known && id != a.ID || v.tokens[a.ID] != "" && v.tokens[a.ID] != a.Content {
			return v, fmt.Errorf("added token %q with id %d contradicts another token", a.Content, a.ID)
		}
		seen[a.Content] = true
		v.tokens[a.ID] = a.Content
		v.outside[a.ID] = !known
		v.added = append(v.added, Added{ID: a.ID, Content: a.Content, Special: a.Special, Normalized: a.Normalized, SingleWord: a.SingleWord, LStrip: a.LStrip, RStrip: a.RStrip})
	}
	return v, nil
}

// gpt2ByteLevel is the pre-tokenizer and decoder of a trained tokenizer.
const gpt2ByteLevel = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`

// defaultScheme is that of a trained tokenizer: GPT-2's.
func defaultScheme() scheme {
	null := json.RawMessage("null")
	return scheme{stages: []stage{{cut: splitGPT2}}, spelled: true, decoder: decoder{spelled: true},
		normalizer: null, preTokenizer: json.RawMessage(gpt2ByteLevel), postProcessor: null, decode: json.RawMessage(gpt2ByteLevel)}
}

// MarshalJSON writes a tokenizer.json that Hugging Face's tokenizers library loads. The
// parts of a loaded document that do not change ids are written as they were read.
func (t *Tokenizer) MarshalJSON() ([]byte, error) {
	null := json.RawMessage("null")
	o := &t.scheme
	d := document{Version: "1.0", Truncation: null, Padding: null, AddedTokens: []addedToken{},
		Normalizer: orNull(o.normalizer), PreTokenizer: orNull(o.preTokenizer), PostProcessor: orNull(o.postProcessor), Decoder: o.decode,
		Model: bpeModel{Type: "BPE", UnkToken: o.unknown, FuseUnk: o.fuseUnknown, ByteFallback: o.byteFallback, IgnoreMerges: o.ignoreMerges,
			Vocab: t.ids, Merges: []mergeText{}}}
	for _, p := range t.merges {
		d.Model.Merges = append(d.Model.Merges, mergeText{t.tokens[p.left], t.tokens[p.right]})
	}
	added := slices.Clone(t.added)
	slices.SortFunc(added, func(a, b Added) int { return int(a.ID - b.ID) })
	for _, a := range added {
		d.AddedTokens = append(d.AddedTokens, addedToken{ID: a.ID, Content: a.Content, SingleWord: a.SingleWord, LStrip: a.LStrip, RStrip: a.RStrip, Normalized: a.Normalized, Special: a.Special})
	}
	return marshal(d)
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
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
