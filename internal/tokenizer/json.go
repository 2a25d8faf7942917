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
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) != 2 || strings.Contains(parts[0]+parts[1], " ") {
		return fmt.Errorf("merge %s is not two byte-level tokens", data)
	}
	*m = mergeText{parts[0], parts[1]}
	return nil
}

func (m mergeText) MarshalJSON() ([]byte, error) { return marshal(m[0] + " " + m[1]) }

// maxID bounds the memory a hostile file can ask for.
const maxID = 1 << 22

// Load reads a tokenizer.json. What it cannot do exactly it refuses with [ErrUnsupported],
// naming the part.
func Load(data []byte) (*Tokenizer, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	s, err := d.scheme()
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w; this engine reads byte-level BPE as GPT-2, Llama-3, Qwen2 and SmolLM have it", err)
	}
	tokens, added, err := d.vocabulary()
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	merges := make([]pair, len(d.Model.Merges))
	for i, m := range d.Model.Merges {
		left, ok1 := d.Model.Vocab[m[0]]
		right, ok2 := d.Model.Vocab[m[1]]
		_, ok3 := d.Model.Vocab[m[0]+m[1]]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("tokenizer.json: merge %d (%q) names a token that is not in the vocabulary", i, m[0]+" "+m[1])
		}
		merges[i] = pair{left, right}
	}
	return build(tokens, merges, added, s), nil
}

// vocabulary is the tokens by id, those of the model and the added ones.
func (d *document) vocabulary() (tokens []string, added []Added, err error) {
	size := 0
	for s, id := range d.Model.Vocab {
		if s == "" || id < 0 || id > maxID {
			return nil, nil, fmt.Errorf("token %q has id %d; ids are 0 to %d", s, id, maxID)
		}
		size = max(size, int(id)+1)
	}
	for _, a := range d.AddedTokens {
		if a.LStrip || a.RStrip || a.SingleWord {
			return nil, nil, fmt.Errorf("%w: added token %q with lstrip, rstrip or single_word", ErrUnsupported, a.Content)
		}
		if a.Content == "" || a.ID < 0 || a.ID > maxID {
			return nil, nil, fmt.Errorf("added token %q has id %d; ids are 0 to %d", a.Content, a.ID, maxID)
		}
		size = max(size, int(a.ID)+1)
	}
	tokens = make([]string, size)
	for s, id := range d.Model.Vocab {
		if tokens[id] != "" {
			return nil, nil, fmt.Errorf("tokens %q and %q have the same id %d", min(s, tokens[id]), max(s, tokens[id]), id)
		}
		tokens[id] = s
	}
	seen := map[string]bool{}
	for _, a := range d.AddedTokens {
		id, known := d.Model.Vocab[a.Content]
		if seen[a.Content] || known && id != a.ID || tokens[a.ID] != "" && tokens[a.ID] != a.Content {
			return nil, nil, fmt.Errorf("added token %q with id %d contradicts another token", a.Content, a.ID)
		}
		seen[a.Content] = true
		tokens[a.ID] = a.Content
		added = append(added, Added{a.ID, a.Content, a.Special, a.Normalized})
	}
	return tokens, added, nil
}

// byteLevel is the pre-tokenizer and decoder of a trained tokenizer.
const byteLevel = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`

// defaultScheme is that of a trained tokenizer: GPT-2's.
func defaultScheme() scheme {
	null := json.RawMessage("null")
	return scheme{stages: []splitter{splitGPT2}, normalizer: null, preTokenizer: json.RawMessage(byteLevel), postProcessor: null, decoder: json.RawMessage(byteLevel)}
}

// MarshalJSON writes a tokenizer.json that Hugging Face's tokenizers library loads. The
// parts of a loaded document that do not change ids are written as they were read.
func (t *Tokenizer) MarshalJSON() ([]byte, error) {
	null := json.RawMessage("null")
	d := document{Version: "1.0", Truncation: null, Padding: null,
		Normalizer: orNull(t.scheme.normalizer), PreTokenizer: t.scheme.preTokenizer, PostProcessor: orNull(t.scheme.postProcessor), Decoder: t.scheme.decoder,
		AddedTokens: []addedToken{},
		Model:       bpeModel{Type: "BPE", IgnoreMerges: t.scheme.ignoreMerges, Vocab: map[string]int32{}, Merges: []mergeText{}}}
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
		d.AddedTokens = append(d.AddedTokens, addedToken{ID: a.ID, Content: a.Content, Special: a.Special, Normalized: a.Normalized})
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
