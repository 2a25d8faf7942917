package gguf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The types of tokens (tokenizer.ggml.token_type). Tokens that are unused, or unknown without
// being the unknown token, fill the vocabulary up and are never in a text.
const (
	tokenNormal = iota + 1
	tokenUnknown
	tokenControl
	tokenUserDefined
	tokenUnused
	tokenByte
)

// object is a JSON object.
type object = map[string]any

// vocabulary is what the metadata says of tokens.
type vocabulary struct {
	tokens []string
	types  []int32
	scores []float32
	merges []string

	bos, eos, eot, unknown, pad int // ids; -1: none
	addBOS, addEOS, addSpace    bool
}

func (f *File) vocabulary() (v vocabulary, err error) {
	const key = "tokenizer.ggml."
	m := metadata{values: f.Metadata}
	v = vocabulary{
		tokens: m.strings(key + "tokens"), types: m.numbers(key + "token_type"), scores: m.reals(key + "scores"), merges: m.strings(key + "merges"),
		bos: m.number(key+"bos_token_id", -1), eos: m.number(key+"eos_token_id", -1), eot: m.number(key+"eot_token_id", -1),
		unknown: m.number(key+"unknown_token_id", -1), pad: m.number(key+"padding_token_id", -1),
		addEOS: m.truth(key+"add_eos_token", false), addSpace: m.truth(key+"add_space_prefix", true),
	}
	kind := m.text(key+"model", "")
	v.addBOS = m.truth(key+"add_bos_token", kind == "llama" || byteLevels[m.text(key+"pre", "")].llama3)
	switch n := len(v.tokens); {
	case m.err != nil:
		return v, m.err
	case n == 0:
		return v, fmt.Errorf("%w: no tokens", ErrUnsupported)
	case len(v.types) != n && len(v.types) != 0 || len(v.scores) != n && len(v.scores) != 0:
		return v, fmt.Errorf("%w: %d tokens have %d types and %d scores", ErrCorrupt, n, len(v.types), len(v.scores))
	}
	for _, id := range []int{v.bos, v.eos, v.eot, v.unknown, v.pad} {
		if id >= len(v.tokens) {
			return v, fmt.Errorf("%w: special token %d of %d", ErrCorrupt, id, len(v.tokens))
		}
	}
	if kind == "llama" && v.unknown < 0 {
		v.unknown = 0 // SentencePiece's default
	}
	return v, nil
}

// kind is a token's type.
func (v *vocabulary) kind(id int) int32 {
	switch {
	case len(v.types) == 0:
		return tokenNormal
	case v.types[id] == tokenUnknown && id != v.unknown:
		return tokenUnused
	}
	return v.types[id]
}

// token is the spelling of an id; "" of none.
func (v *vocabulary) token(id int) string {
	if id < 0 {
		return ""
	}
	return v.tokens[id]
}

// TokenizerJSON is the file's tokenizer as Hugging Face's tokenizer.json: byte-level BPE
// (tokenizer.ggml.model gpt2) or SentencePiece's BPE (llama). Another kind, or a
// pre-tokenizer (tokenizer.ggml.pre) that is not known, is [ErrUnsupported].
func (f *File) TokenizerJSON() ([]byte, error) {
	v, err := f.vocabulary()
	if err != nil {
		return nil, err
	}
	m := metadata{values: f.Metadata}
	kind, pre, architecture := m.text("tokenizer.ggml.model", ""), m.text("tokenizer.ggml.pre", ""), m.text("general.architecture", "")
	if m.err != nil {
		return nil, m.err
	}
	ids, err := v.ids()
	if err != nil {
		return nil, err
	}
	file := object{"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "pre_tokenizer": nil,
		"added_tokens": v.added(kind == "llama" && architecture == "phi3"), "post_processor": v.around()}
	switch kind {
	case "gpt2":
		if pre == "" && architecture == "gpt2" {
			pre = "gpt-2"
		}
		err = v.byteLevel(file, pre, ids)
	case "llama":
		err = v.sentencePiece(file, ids)
	default:
		err = fmt.Errorf("%w: tokenizer.ggml.model %q; gpt2 and llama are read", ErrUnsupported, kind)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// ids are the tokens that can be in a text.
func (v *vocabulary) ids() (map[string]int, error) {
	ids := make(map[string]int, len(v.tokens))
	for id, token := range v.tokens {
		if v.kind(id) == tokenUnused {
			continue
		}
		if other, ok := ids[token]; ok || token == "" || !utf8.ValidString(token) {
			return nil, fmt.Errorf("%w: token %d is %q, which is empty, not UTF-8 or also token %d", ErrUnsupported, id, token, other)
		}
		ids[token] = id
	}
	return ids, nil
}

// added are the tokens that are found before anything else. Those of Phi-3 take the white space
// behind them along, but for three, as its tokenizer.json has it.
func (v *vocabulary) added(phi3 bool) []object {
	all := []object{}
	for id, token := range v.tokens {
		kind := v.kind(id)
		if kind != tokenControl && kind != tokenUserDefined && kind != tokenUnknown {
			continue
		}
		rstrip := phi3 && (kind != tokenUserDefined && !slices.Contains([]string{"<unk>", "<s>", "<|endoftext|>"}, token) || token == "</s>")
		all = append(all, object{"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": rstrip, "normalized": false, "special": kind != tokenUserDefined})
	}
	return all
}

// around is the post-processor: what stands before and behind a text.
func (v *vocabulary) around() object {
	special := object{}
	token := func(id int, wanted bool) []object {
		if !wanted || id < 0 {
			return nil
		}
		name := v.tokens[id]
		special[name] = object{"id": name, "ids": []int{id}, "tokens": []string{name}}
		return []object{{"SpecialToken": object{"id": name, "type_id": 0}}}
	}
	text := func(id string, kind int) []object {
		return []object{{"Sequence": object{"id": id, "type_id": kind}}}
	}
	first, last := token(v.bos, v.addBOS), token(v.eos, v.addEOS)
	return object{"type": "TemplateProcessing", "special_tokens": special,
		"single": slices.Concat(first, text("A", 0), last), "pair": slices.Concat(first, text("A", 0), last, text("B", 1))}
}

// sentencePiece completes a tokenizer of characters with bytes as a fallback, in which spaces are
// written as a marker and every text begins with one.
func (v *vocabulary) sentencePiece(file object, ids map[string]int) error {
	if len(v.scores) == 0 {
		return fmt.Errorf("%w: tokens without scores", ErrUnsupported)
	}
	string := func(s string) object { return object{"String": s} }
	normalizers := []object{{"type": "Replace", "pattern": string(" "), "content": marker}}
	decoders := []object{{"type": "Replace", "pattern": string(marker), "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if v.addSpace {
		normalizers = slices.Insert(normalizers, 0, object{"type": "Prepend", "prepend": marker})
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	file["normalizer"] = object{"type": "Sequence", "normalizers": normalizers}
	file["decoder"] = object{"type": "Sequence", "decoders": decoders}
	file["model"] = object{"type": "BPE", "unk_token": v.token(v.unknown), "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": ids, "merges": v.scoredMerges(ids)}
	return nil
}

// marker is what SentencePiece writes for a space.
const marker = "\u2581"

// scoredMerges are the merges that scores stand for: SentencePiece joins whichever two
// neighbours make the token of the highest score, so every way to split a token in two is a
// merge of the rank of its score. Of the ways to split one token those into better tokens come
// first, as in the files that transformers converts.
func (v *vocabulary) scoredMerges(ids map[string]int) [][2]string {
	type split struct {
		left, right string
		score       float32
	}
	var all []split
	for id, token := range v.tokens {
		if kind := v.kind(id); kind != tokenNormal && kind != tokenUserDefined {
			continue
		}
		begin := len(all)
		for i := range token {
			_, ok1 := ids[token[:i]]
			_, ok2 := ids[token[i:]]
			if ok1 && ok2 {
				all = append(all, split{token[:i], token[i:], v.scores[id]})
			}
		}
		slices.SortStableFunc(all[begin:], func(a, b split) int {
			if c := descending(v.scores[ids[a.left]], v.scores[ids[b.left]]); c != 0 {
				return c
			}
			return descending(v.scores[ids[a.right]], v.scores[ids[b.right]])
		})
	}
	slices.SortStableFunc(all, func(a, b split) int { return descending(a.score, b.score) })
	merges := make([][2]string, len(all))
	for i, s := range all {
		merges[i] = [2]string{s.left, s.right}
	}
	return merges
}

func descending(a, b float32) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// byteLevels are the pre-tokenizers of byte-level BPE by the names of tokenizer.ggml.pre, as
// the tokenizer.json of the models has them.
var byteLevels = map[string]struct {
	pattern string // of a Split; "": GPT-2's, which ByteLevel has
	digits  bool   // digits stand alone first
	nfc     bool   // text is normalized
	llama3  bool   // ignore_merges, and a token before every text
}{
	"gpt-2": {}, "phi-2": {},
	"llama-bpe": {pattern: tiktoken(`\p{N}{1,3}`), llama3: true}, "llama3": {pattern: tiktoken(`\p{N}{1,3}`), llama3: true}, "llama-v3": {pattern: tiktoken(`\p{N}{1,3}`), llama3: true},
	"qwen2": {pattern: tiktoken(`\p{N}`), nfc: true}, "deepseek-r1-qwen": {pattern: tiktoken(`\p{N}`), nfc: true},
	"smollm": {digits: true}, "starcoder": {digits: true}, "refact": {digits: true},
}

// tiktoken is the pattern of OpenAI's cl100k with another one for digits.
func tiktoken(digits string) string {
	return `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + digits + `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
}

func (v *vocabulary) byteLevel(file object, pre string, ids map[string]int) error {
	p, ok := byteLevels[pre]
	if !ok {
		return fmt.Errorf("%w: tokenizer.ggml.pre %q", ErrUnsupported, pre)
	}
	if p.nfc {
		file["normalizer"] = object{"type": "NFC"}
	}
	bytes := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": p.pattern == ""}
	stages := []object{}
	if p.digits {
		stages = append(stages, object{"type": "Digits", "individual_digits": true})
	}
	if p.pattern != "" {
		stages = append(stages, object{"type": "Split", "pattern": object{"Regex": p.pattern}, "behavior": "Isolated", "invert": false})
	}
	file["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": append(stages, bytes)}
	file["decoder"] = bytes
	merges := make([][2]string, len(v.merges))
	for i, m := range v.merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok {
			return fmt.Errorf("%w: merge %d is %q, not two tokens", ErrCorrupt, i, m)
		}
		merges[i] = [2]string{left, right}
	}
	file["model"] = object{"type": "BPE", "unk_token": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": p.llama3, "vocab": ids, "merges": merges}
	return nil
}
